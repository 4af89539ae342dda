"""`oda topics`, `produce`, `consume`: the Kafka helper, for any topic."""

from __future__ import annotations

import sys
from itertools import chain
from typing import Annotated

import typer

from oda.cli.context import Context
from oda.collect.lines import lists_of_lines, stdin
from oda.collect.producer import Producer
from oda.core.reading import MAX_TIME, RejectedError, decode
from oda.errors import UserError
from oda.kafka.reader import follow, reader
from oda.kafka.topics import create_topic, list_topics, require_topic
from oda.settings import Kafka

Topic = Annotated[str, typer.Option("--topic", help="The topic's name.")]


def register(app: typer.Typer) -> None:
    app.command()(topics)
    app.command()(produce)
    app.command()(consume)


def topics(
    ctx: typer.Context,
    create: Annotated[bool, typer.Option("--create", help="Make the topic.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Print the names of all topics.")] = False,
    topic: Annotated[str | None, typer.Option("--topic", help="The topic to make.")] = None,
    partitions: Annotated[int | None, typer.Option(min=1, show_default="oda.kafka.partitions")] = None,
    replication_factor: Annotated[int | None, typer.Option(min=1, show_default="oda.kafka.replication")] = None,
) -> None:
    """Makes a topic, or lists the topics.

    Examples:

        oda topics --create --topic test --partitions 3

        oda topics --create --topic test --replication-factor 3      (needs three brokers: cluster/README.md)

        oda topics --list
    """
    if create == list_:
        raise UserError("give either --create or --list")
    settings = _settings(ctx)
    if list_:
        for name in list_topics(settings):
            print(name)
    elif topic is None:
        raise UserError("--create needs --topic NAME")
    else:
        create_topic(settings, topic, partitions or settings.partitions, replication_factor or settings.replication)
        print(f"created topic {topic}")


def produce(ctx: typer.Context, topic: Topic) -> None:
    """Sends each line of stdin to a topic, as one message.

    In the topic of readings, a message that is a reading is keyed by its series;
    any other message has no key.

    Examples:

        seq 42 | oda produce --topic test

        oda produce --topic readings < readings.ndjson
    """
    settings = _settings(ctx)
    read = stdin()
    require_topic(settings, topic)
    producer = Producer(settings, topic)
    try:
        with producer:
            for line in chain.from_iterable(lists_of_lines(read)):
                producer.send(line, _series(line) if topic == settings.readings else None)
    finally:
        print(f"{producer.acknowledged} of {producer.sent} messages acknowledged by Kafka", file=sys.stderr)


def consume(
    ctx: typer.Context,
    topic: Topic,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Also what is there already.")] = False,
    max_messages: Annotated[int | None, typer.Option(min=1, help="Stop after this many.")] = None,
) -> None:
    """Prints the messages of a topic as they come, one a line; until Ctrl-C unless told when to stop.

    Messages of one partition are in order. What comes first of several partitions is chance.

    Examples:

        oda consume --topic test --from-beginning --max-messages 42

        oda consume --topic readings
    """
    left = max_messages
    with reader(_settings(ctx), [topic], from_beginning) as consumer:
        for _, records in follow(consumer):
            for record in records[:left]:
                sys.stdout.buffer.write((record.value or b"") + b"\n")
            sys.stdout.buffer.flush()
            if left is not None and (left := left - len(records)) <= 0:
                return


def _series(message: bytes) -> bytes | None:
    """The key of a reading, whether its time has come or not; without it, a series gets into many partitions."""
    try:
        return decode(message, MAX_TIME, 0).series.encode()
    except RejectedError:
        return None


def _settings(ctx: typer.Context) -> Kafka:
    context: Context = ctx.obj
    return context.settings().kafka

"""The work in faust-streaming, in one process.

States are in memory, with a changelog topic; at least once. That is its default. A second process joins the group when
the first has begun: what was read until then is read again, and the results differ from those of one pass.
"""

import ssl
import sys
from collections.abc import AsyncIterator
from os import environ
from typing import Any

import faust
import security
from series import new_state, step


def credentials() -> object | None:
    """As faust has them."""
    if security.CA is None:
        return None
    tls = ssl.create_default_context(cafile=security.CA)
    if security.USER is None:
        return faust.SSLCredentials(tls)
    return faust.SASLCredentials(
        username=security.USER, password=security.PASSWORD, mechanism=security.MECHANISM, ssl_context=tls
    )


app = faust.App(
    environ["GROUP"],
    broker=[f"kafka://{broker}" for broker in environ["BROKERS"].split(",")],
    broker_credentials=credentials(),
    datadir=environ["STATE"],
    topic_partitions=4,
    stream_wait_empty=False,
    producer_linger=0.05,
    broker_max_poll_records=10_000,
    stream_buffer_maxsize=16_384,
    web_enabled=False,
)
readings = app.topic(environ["READINGS"], key_type=str, value_serializer="json")
results = app.topic(environ["RESULTS"], key_type=str, value_serializer="json")
table = app.Table("series", default=new_state, key_type=str)


@app.agent(readings)
async def judge(stream: AsyncIterator[dict[str, Any]]) -> None:
    """Apply each reading to the state of its series."""
    async for reading in stream:
        series = reading["series"]
        state = table[series]
        rows = step(state, series, reading["time"], reading["value"])
        table[series] = state
        for row in rows:
            await results.send(key=series, value=row)


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "--without-web", "-l", "warn"]
    app.main()

"""The push collectors as real processes into a real Kafka: killed, cut off from Kafka, and filled to the brim."""

import asyncio
import json
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress

import pytest
import requests
import socketio
from aiohttp import web
from kafka import KafkaAdminClient

from oda.collect.delivered import HEADER, delivered, mark
from oda.collect.producer import Producer
from oda.collect.spool import Spool
from oda.kafka.reader import read_to_end, reader
from oda.kafka.topics import create_topics, list_topics
from oda.paths import BIN
from support import ENV, HANG_SECONDS, Cluster, free_port, wait_until


def reading(number: int, series: str = "pump") -> dict:
    return {"series": f"{series}-{number % 3}", "time": 1732300000000 + number, "value": number / 8}


def values(readings: list[dict]) -> list[int]:
    """What tells readings made by `reading` apart."""
    return [int(reading["value"] * 8) for reading in readings]


def in_kafka(cluster: Cluster) -> list[dict]:
    """Everything that is in the topic of readings, in order per series."""
    found = []
    with reader(cluster.settings.kafka, [cluster.settings.kafka.readings], from_beginning=True) as consumer:
        for _, records in read_to_end(consumer):
            assert all(record.key.decode() == json.loads(record.value)["series"] for record in records)
            found += [json.loads(record.value) for record in records]
    return found


@pytest.fixture
def isolated(cluster, tmp_path) -> Cluster:
    cluster = cluster.isolated(tmp_path)
    create_topics(cluster.settings.kafka)
    return cluster


def delete_topic(cluster: Cluster) -> None:
    admin = KafkaAdminClient(bootstrap_servers=cluster.settings.kafka.brokers)
    admin.delete_topics([cluster.settings.kafka.readings])
    admin.close()


class Process:
    """`oda collect ...`, with what it printed."""

    def __init__(self, cluster: Cluster, folder, *arguments: object) -> None:
        self._out, self._err = (folder / f"{name}-{time.monotonic_ns()}" for name in ("out", "err"))
        command = [BIN / "oda", "--config", cluster.config, "collect", *arguments]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.PIPE, stdout=out, stderr=err, env=ENV
            )

    @property
    def said(self) -> str:
        return self._err.read_text()

    def stop(self, number: int = signal.SIGINT) -> str:
        """End it; returns the sums it printed."""
        self.process.send_signal(number)
        self.process.wait(HANG_SECONDS)
        return self._out.read_text()


@contextmanager
def collecting(cluster: Cluster, folder, *arguments: object):
    collector = Process(cluster, folder, *arguments)
    try:
        yield collector
    finally:
        collector.process.kill()
        collector.process.wait()


class Http(Process):
    """`oda collect http`, and a client of it."""

    def __init__(self, cluster: Cluster, folder, port: int, *arguments: object) -> None:
        super().__init__(cluster, folder, "http", "--port", port, "--spool", folder / "spool", *arguments)
        self.url = f"http://127.0.0.1:{port}"
        wait_until(self.health, f"no endpoint: {self.said}")

    def health(self) -> dict | None:
        assert self.process.poll() is None, self.said
        with suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/health", timeout=HANG_SECONDS).json()

    def push(self, readings: list[dict]) -> requests.Response:
        return requests.post(f"{self.url}/readings", json=readings, timeout=HANG_SECONDS)

    def wait_until_empty(self) -> None:
        wait_until(lambda: self.health()["waiting"] == 0, f"not all is in Kafka: {self.said}")


@contextmanager
def serving(cluster: Cluster, folder, port: int, *arguments: object):
    collector = Http(cluster, folder, port, *arguments)
    try:
        yield collector
    finally:
        collector.process.kill()
        collector.process.wait()


class Pusher(threading.Thread):
    """Pushes readings of its own, ever new ones, and remembers which were acknowledged."""

    def __init__(self, url: str, first: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[int] = []
        self.over = threading.Event()
        self._url = url
        self._next = first

    def run(self) -> None:
        with requests.Session() as session:
            while not self.over.is_set():
                numbers = range(self._next, self._next + 20)
                self._next += 20
                try:
                    body = [reading(number) for number in numbers]
                    accepted = session.post(f"{self._url}/readings", json=body, timeout=HANG_SECONDS).status_code == 200
                except requests.ConnectionError:
                    time.sleep(0.05)
                else:
                    if accepted:
                        self.acknowledged += numbers


class Proxy:
    """Stands between the clients and the brokers, and can be switched off.

    Brokers tell clients their own addresses, by which they would go round us; we put ours in their place.
    """

    def __init__(self, brokers: str) -> None:
        theirs = [(host, int(port)) for host, _, port in (broker.rpartition(":") for broker in brokers.split(","))]
        self._brokers = {free_port(): broker for broker in theirs}
        self.addresses = ",".join(f"127.0.0.1:{port}" for port in self._brokers)
        self._replaced = [
            (host.encode() + struct.pack(">i", port), host.encode() + struct.pack(">i", ours))
            for ours, (host, port) in self._brokers.items()
        ]
        self._open: list[socket.socket] = []

    def on(self) -> None:
        for port, broker in self._brokers.items():
            listener = socket.create_server(("127.0.0.1", port))
            self._open.append(listener)
            threading.Thread(target=self._accept, args=[listener, broker], daemon=True).start()

    def off(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket, address: tuple[str, int]) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                broker = socket.create_connection(address)
                self._open += [client, broker]
                threading.Thread(target=self._forward, args=[client, broker, []], daemon=True).start()
                threading.Thread(target=self._forward, args=[broker, client, self._replaced], daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, replaced: list[tuple[bytes, bytes]]) -> None:
        with suppress(OSError, struct.error):
            stream = source.makefile("rb")
            while True:
                size = stream.read(4)
                message = stream.read(*struct.unpack(">i", size))
                for old, new in replaced:
                    message = message.replace(old, new)
                target.sendall(size + message)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(isolated):
    proxy = Proxy(isolated.settings.kafka.brokers)
    yield proxy
    proxy.off()


@pytest.fixture
def behind(isolated, proxy, tmp_path) -> Cluster:
    """The same topics, seen through the proxy."""
    config = json.loads(isolated.config.read_text())
    config["envs"][isolated.env]["options"]["oda.kafka.brokers"] = proxy.addresses
    path = tmp_path / "behind.json"
    path.write_text(json.dumps(config))
    return Cluster(path, isolated.env)


def test_stdin_is_in_kafka_when_it_has_ended_and_what_is_no_reading_was_reported(isolated, tmp_path):
    lines = [json.dumps(reading(number)) for number in range(5000)]
    lines.insert(100, "nope")
    lines.insert(200, '{"series": "pump"}')
    done = isolated.oda("collect", "stdin", "--spool", tmp_path / "spool", input="\n".join(lines), check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout == f"5000 readings accepted, 2 rejected; 0 wait for Kafka in {tmp_path / 'spool'}\n"
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["line 101", "line 201"]
    found = in_kafka(isolated)
    for series in range(3):
        name = f"pump-{series}"
        assert [r for r in found if r["series"] == name] == [reading(n) for n in range(series, 5000, 3)]


def test_http_into_kafka_and_a_clean_end(isolated, tmp_path):
    with serving(isolated, tmp_path, free_port()) as collector:
        for start in range(0, 3000, 300):
            answer = collector.push([reading(number) for number in range(start, start + 300)])
            assert (answer.status_code, answer.json()) == (200, {"accepted": 300})
        assert collector.push([reading(0), {"series": 1}]).status_code == 400
        collector.wait_until_empty()
        assert collector.health() == {"waiting": 0, "spool_used": 0.0, "kafka": "takes readings"}
        collector.push([reading(3000)])
        sums = collector.stop()
        assert sums == f"3001 readings accepted, 1 rejected; 0 wait for Kafka in {tmp_path / 'spool'}\n"
        assert (collector.process.returncode, collector.said) == (130, "")
    assert sorted(values(in_kafka(isolated))) == list(range(3001))


def test_killed_in_mid_stream_every_reading_that_was_acknowledged_is_in_kafka_once(isolated, tmp_path):
    port = free_port()
    pushers = [Pusher(f"http://127.0.0.1:{port}", number * 10**6) for number in range(3)]
    for pusher in pushers:
        pusher.start()
    for _ in range(3):
        with serving(isolated, tmp_path, port) as collector:
            before = sum(len(pusher.acknowledged) for pusher in pushers)
            wait_until(lambda: sum(len(p.acknowledged) for p in pushers) > before + 3000, collector.said)  # noqa: B023
            collector.stop(signal.SIGKILL)
    for pusher in pushers:
        pusher.over.set()
        pusher.join()
    with serving(isolated, tmp_path, port) as collector:
        collector.wait_until_empty()
    found = Counter(values(in_kafka(isolated)))
    acknowledged = [number for pusher in pushers for number in pusher.acknowledged]
    assert len(acknowledged) > 9000
    assert [number for number in acknowledged if not found[number]] == []
    assert [number for number, count in found.items() if count > 1] == []


def test_without_kafka_pushes_are_taken_until_the_spool_is_full_and_delivered_later(isolated, behind, proxy, tmp_path):
    with serving(behind, tmp_path, free_port(), "--spool-max-mb", 4) as collector:
        taken = 0
        while (answer := collector.push([reading(n) for n in range(taken, taken + 5000)])).status_code == 200:
            taken += 5000
        assert taken > 20_000
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert f"the spool {tmp_path / 'spool'} is full: 4 MB; none was accepted" in answer.json()["error"]
        assert collector.health()["waiting"] == taken
        wait_until(lambda: "no answer from Kafka at oda.kafka.brokers" in collector.said, collector.said)
        assert in_kafka(isolated) == []
        proxy.on()
        collector.wait_until_empty()
        assert collector.push([reading(taken)]).status_code == 200
        collector.wait_until_empty()
        said = [line.split("; ")[0] for line in collector.said.splitlines()]
        assert [line for line in said if line.startswith("oda: ") and "no answer" not in line] == [
            f"oda: the spool {tmp_path / 'spool'} is full: 4 MB",
            "oda: Kafka takes readings again",
            f"oda: the spool {tmp_path / 'spool'} has room again",
        ]
    assert sorted(values(in_kafka(isolated))) == list(range(taken + 1))


def test_kafka_goes_away_in_mid_stream_and_the_collector_is_killed_meanwhile(isolated, behind, proxy, tmp_path):
    port, taken = free_port(), 0

    def push(collector: Http, seconds: float) -> None:
        nonlocal taken
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert collector.push([reading(n) for n in range(taken, taken + 100)]).status_code == 200
            taken += 100

    proxy.on()
    with serving(behind, tmp_path, port) as collector:
        push(collector, 2)
        proxy.off()
        push(collector, 1)
        wait_until(lambda: "takes no readings; meanwhile" in collector.said, collector.said)
        collector.stop(signal.SIGKILL)
    assert len(set(values(in_kafka(isolated)))) < taken
    with serving(behind, tmp_path, port) as collector:
        push(collector, 1)
        proxy.on()
        push(collector, 1)
        collector.wait_until_empty()
        proxy.off()
        push(collector, 1)
        proxy.on()
        collector.wait_until_empty()
        collector.stop()
    assert sorted(values(in_kafka(isolated))) == list(range(taken))


def test_ctrl_c_without_kafka_ends_it_and_the_next_start_sends_the_rest(isolated, behind, proxy, tmp_path):
    port = free_port()
    with serving(behind, tmp_path, port) as collector:
        collector.push([reading(number) for number in range(10)])
        sums = collector.stop()
        assert sums == f"10 readings accepted, 0 rejected; 10 wait for Kafka in {tmp_path / 'spool'}\n"
        assert collector.process.returncode == 130
    proxy.on()
    with serving(behind, tmp_path, port) as collector:
        collector.wait_until_empty()
    assert sorted(values(in_kafka(isolated))) == list(range(10))


def test_the_writer_of_stdin_waits_while_the_spool_is_full(isolated, behind, proxy, tmp_path):
    with collecting(behind, tmp_path, "stdin", "--spool", tmp_path / "spool", "--spool-max-mb", 4) as collector:
        written = 0

        def write() -> None:
            nonlocal written
            with collector.process.stdin as pipe:
                for number in range(0, 100_000, 100):
                    pipe.write(b"".join(json.dumps(reading(n)).encode() + b"\n" for n in range(number, number + 100)))
                    written += 100

        writer = threading.Thread(target=write)
        writer.start()
        wait_until(lambda: "is full: 4 MB" in collector.said, collector.said)
        time.sleep(2)
        assert written < 100_000
        proxy.on()
        writer.join()
        assert collector.process.wait(HANG_SECONDS) == 0
    assert sorted(values(in_kafka(isolated))) == list(range(100_000))


ONE_TAKEN = {"accepted": 1, "rejected": []}


class Emitter:
    """A real Socket.IO server, in a thread; remembers what was acknowledged."""

    def __init__(self, port: int) -> None:
        self.acknowledged: list[object] = []
        self.connections = 0
        self._server = socketio.AsyncServer(async_mode="aiohttp")
        self._server.on("connect", self._connected)
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    async def _connected(self, *_: object) -> None:
        self.connections += 1

    def __enter__(self) -> "Emitter":
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(HANG_SECONDS)

    async def _start(self) -> None:
        application = web.Application()
        self._server.attach(application)
        self._runner = web.AppRunner(application, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def _stop(self) -> None:
        await self._server.shutdown()
        await self._runner.cleanup()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:  # of connections that ended, it leaves some
            task.cancel()

    def emit(self, payload: object, event: str = "reading") -> None:
        """To the newest client; what it acknowledges is remembered."""
        self._run(self._emit(payload, event))

    async def _emit(self, payload: object, event: str) -> None:
        *_, newest = list(self._server.manager.get_participants("/", None)) or [(None, None)]
        await self._server.emit(
            event, payload, to=newest[0], callback=lambda answer: self.acknowledged.append((payload, answer))
        )


def test_socketio_into_kafka_across_a_restart_of_its_server(isolated, tmp_path):
    port = free_port()
    arguments = ["socketio", f"http://127.0.0.1:{port}", "--event", "value", "--spool", tmp_path / "spool"]
    with collecting(isolated, tmp_path, *arguments) as collector:
        wait_until(lambda: "can't connect" in collector.said, collector.said)
        for start in (0, 1000):
            with Emitter(port) as emitter:
                wait_until(lambda: emitter.connections, collector.said)
                for number in range(start, start + 999):
                    emitter.emit(reading(number), "value")
                emitter.emit([reading(start + 999), 10**30, b"a", reading(2000 + start)], "value")
                emitter.emit(reading(7), "other")
                wait_until(lambda: len(emitter.acknowledged) == 1000, collector.said)
                assert emitter.acknowledged[0] == (reading(start), ONE_TAKEN)
                answer = emitter.acknowledged[-1][1]
                assert (answer["accepted"], [one["number"] for one in answer["rejected"]]) == (2, [2, 3])
            wait_until(lambda: collector.said.count("disconnected from") == start // 1000 + 1, collector.said)  # noqa: B023
        assert collector.stop().startswith("2002 readings accepted, 4 rejected; 0 wait")
    found = in_kafka(isolated)
    assert sorted(values(found)) == sorted([*range(2000), 2000, 3000])
    for series in range(3):
        mine = [number for number in values(found) if number % 3 == series and number < 1999]
        assert mine == sorted(mine)


def test_socketio_disconnects_while_the_spool_is_full_and_loses_nothing_that_came(isolated, behind, proxy, tmp_path):
    port = free_port()
    arguments = ["socketio", f"http://127.0.0.1:{port}", "--spool", tmp_path / "spool", "--spool-max-mb", 4]
    with Emitter(port) as emitter, collecting(behind, tmp_path, *arguments) as collector:
        wait_until(lambda: emitter.connections, collector.said)
        sent = 0
        while "is full: 4 MB" not in collector.said:
            if sent // 500 - len(emitter.acknowledged) < 10:  # it works off what has come before it connects again
                emitter.emit([reading(number, "x" * 200) for number in range(sent, sent + 500)])
                sent += 500
            time.sleep(0.02)
        wait_until(lambda: "disconnected" in collector.said, collector.said)
        time.sleep(2)
        assert emitter.connections == 1
        proxy.on()
        wait_until(lambda: emitter.connections > 1, collector.said)
        emitter.emit([reading(sent)])
        wait_until(lambda: ([reading(sent)], ONE_TAKEN) in emitter.acknowledged, collector.said)
        collector.stop()
        assert (collector.process.returncode, "Traceback" in collector.said) == (130, False), collector.said
    # It waits for Kafka for a moment only; what is left in the spool then is sent by whoever opens that next.
    behind.oda("collect", "stdin", "--spool", tmp_path / "spool", input="")
    found = Counter(values(in_kafka(isolated)))
    expected = [number for payload, _ in emitter.acknowledged for number in values(payload)]
    assert [number for number in expected if found[number] != 1] == []
    assert max(found.values()) == 1


def test_a_topic_that_is_deleted_is_said_and_what_comes_meanwhile_kept_for_the_one_that_is_made_anew(
    isolated, tmp_path
):
    topic = isolated.settings.kafka.readings
    with serving(isolated, tmp_path, free_port()) as collector:
        collector.push([reading(number) for number in range(10)])
        collector.wait_until_empty()
        delete_topic(isolated)
        collector.push([reading(number) for number in range(10, 20)])
        gone = f"the topic {topic} is not there any more"
        wait_until(lambda: gone in collector.said, collector.said)
        wait_until(lambda: f"there is no topic {topic}; make it with" in collector.health()["kafka"], collector.said)
        collector.push([reading(number) for number in range(20, 30)])
        assert collector.health()["waiting"] == 20
        isolated.oda("topics", "--create", "--topic", topic, "--partitions", 2)
        collector.wait_until_empty()
        assert "Kafka takes readings again" in collector.said
    assert sorted(values(in_kafka(isolated))) == list(range(10, 30))


def test_a_topic_that_is_made_anew_under_way_is_said_and_has_what_came_since_once(isolated, tmp_path):
    port = free_port()
    with serving(isolated, tmp_path, port) as collector:
        collector.push([reading(number) for number in range(1000)])
        collector.wait_until_empty()
        delete_topic(isolated)
        wait_until(lambda: isolated.settings.kafka.readings not in list_topics(isolated.settings.kafka), "there")
        create_topics(isolated.settings.kafka)
        collector.push([reading(number) for number in range(1000, 1500)])
        collector.stop(signal.SIGKILL)
    with serving(isolated, tmp_path, port) as collector:
        collector.wait_until_empty()
        delete_topic(isolated)
        create_topics(isolated.settings.kafka)
        wait_until(lambda: "was deleted, and made anew" in collector.said, collector.said)
        collector.push([reading(number) for number in range(1500, 2000)])
        collector.wait_until_empty()
    assert sorted(values(in_kafka(isolated))) == list(range(1500, 2000))


def test_what_a_log_has_of_a_spool_is_found_from_where_it_was_known_or_from_its_beginning(isolated, tmp_path):
    kafka = isolated.settings.kafka
    with Spool(tmp_path / "spool", kafka.readings, 2**22) as spool:
        spool.append([json.dumps(reading(number)).encode() for number in range(10)])
        assert delivered(kafka, spool) == set()
        log, positions = spool.log, spool.positions
        with Producer(kafka, kafka.readings) as producer:
            for number in range(0, 10, 2):
                producer.send(b"{}", headers=[(HEADER, mark(spool.id, number))])
                producer.send(b"{}", headers=[(HEADER, mark(b"another!", number + 1))])
        assert delivered(kafka, spool) == {0, 2, 4, 6, 8}
        assert (spool.log, spool.positions) == (log, positions)
        spool.follow(log, producer.positions)
        assert delivered(kafka, spool) == set()
        spool.follow(b"another log", producer.positions)
        assert delivered(kafka, spool) == {0, 2, 4, 6, 8}
        assert (spool.log, spool.positions) == (log, dict.fromkeys(positions, 0))


def test_mistakes_are_one_line_without_a_traceback(isolated, tmp_path):
    with serving(isolated, tmp_path, free_port()) as collector:
        port = collector.url.rpartition(":")[2]
        for arguments, said in (
            (["http", "--port", port, "--spool", tmp_path / "other"], f"can't listen on 127.0.0.1:{port}: "),
            (
                ["http", "--host", "nowhere.invalid", "--insecure", "--spool", tmp_path / "other"],
                "can't listen on nowhere.invalid",
            ),
            (["http", "--spool", tmp_path / "spool"], "used by another `oda collect`: give another --spool"),
            (["stdin", "--spool", isolated.config], "can't be opened"),
            (["socketio", "localhost:5000"], "is no URL of a Socket.IO server"),
            (["socketio", "http://localhost:99999"], "is no URL of a Socket.IO server"),
        ):
            done = isolated.oda("collect", *arguments, check=False, input="")
            assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
            assert said in done.stderr

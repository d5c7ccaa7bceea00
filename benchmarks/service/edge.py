"""A server at `ulimit -n 1024` whose connections are taken by those who want nothing: does it answer others?

`python -m benchmarks.service.edge [--half-open 1000] [--streams 520] [--bodies 200] [--downloads 100] [--seconds 60]`.
Connections that the server closes are opened again. All come from several addresses, as one may have 256; the light
user and the probe of `/livez` come from others.
"""

import argparse
import asyncio
import contextlib
import itertools
import multiprocessing
import resource
import select
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.rows import Row, format_table
from benchmarks.scale import read_resident
from benchmarks.service.serving import DESCRIPTORS, begin, read_log, serve, to_p95
from benchmarks.service.visitors import API, Failed, Tally, Visitor
from mhc_service.identity import new_cookie
from tests.conftest import Server

LARGE = {"width": 16, "input": {"tokens": 16}, "connection": {"kind": "mhc", "streams": 8}}
OF_LIGHT, OF_PROBE, OF_READER = "127.0.0.3", "127.0.0.4", "127.0.2.{}"
PER_ADDRESS, PER_READER = 200, 5  # connections of one that wants nothing; downloads of one address
SMALL_BYTES = 4096  # so much is read ahead by the kernel of one who does not read
HOLD_S = 35.0  # a connection that was cut off without being told so is opened again after this
LOOK_S, PROBE_S, PAUSE_S, SETTLE_S, AFTER_S = 0.5, 0.02, 0.5, 5.0, 15.0
TARGET_LIVEZ_MS, TARGET_LIGHT_S, TARGET_MEMORY = 100.0, 3.0, 1.2


class Holder(threading.Thread):
    """Keeps so many connections open that each have sent something and do nothing more."""

    def __init__(self, server: Server, count: int, addresses: Iterator[str], build: Any) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(server.url)
        self._at, self._count, self._addresses, self._build = (parts.hostname, parts.port), count, addresses, build
        self._open: dict[int, tuple[socket.socket, float]] = {}
        self._poll, self._over = select.poll(), threading.Event()
        self.opened = self.failed = 0

    def run(self) -> None:
        """Open connections, and replace those that the server closes."""
        while not self._over.is_set():
            for descriptor, _ in self._poll.poll(0):
                self._close_connection(descriptor)
            now = time.monotonic()
            for descriptor in [key for key, (_, since) in self._open.items() if now - since > HOLD_S]:
                self._close_connection(descriptor)
            while len(self._open) < self._count and not self._over.is_set() and self._open_connection():
                pass
            self._over.wait(LOOK_S)
        for descriptor in list(self._open):
            self._close_connection(descriptor)

    def _open_connection(self) -> bool:
        """Open a connection and send its bytes. Return whether it succeeded."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BYTES)
        sock.settimeout(5)
        try:
            sock.bind((next(self._addresses), 0))
            sock.connect(self._at)
            sock.sendall(self._build())
        except OSError:
            self.failed += 1
            sock.close()
            return False
        self.opened += 1
        self._open[sock.fileno()] = (sock, time.monotonic())
        self._poll.register(sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        return True

    def _close_connection(self, descriptor: int) -> None:
        """Close the connection with this file descriptor."""
        self._poll.unregister(descriptor)
        sock, _ = self._open.pop(descriptor)
        sock.close()

    @property
    def open(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    def end(self) -> None:
        """Close all connections."""
        self._over.set()
        self.join()


def spread(first: int, count: int) -> Iterator[str]:
    """Return an iterator over addresses, so many that none opens too many connections."""
    return itertools.cycle([f"127.0.1.{first + k}" for k in range(-(-count // PER_ADDRESS))])


@contextlib.contextmanager
def hold(server: Server, known: argparse.Namespace, run_id: str) -> Iterator[list[Holder]]:
    """Hold half-open connections, streams that no one reads, and incomplete bodies."""
    body = f"POST {API}/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n{{"
    stream = f"GET {API}/runs/{run_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: mhc_client={{}}\r\n\r\n"
    holders = [
        Holder(server, known.half_open, spread(1, known.half_open), lambda: b"GET / HTT"),
        Holder(server, known.streams, spread(50, known.streams), lambda: stream.format(new_cookie()).encode()),
        Holder(server, known.bodies, spread(100, known.bodies), lambda: body.encode()),
    ]
    for holder in holders:
        holder.start()
    try:
        yield holders
    finally:
        for holder in holders:
            holder.end()


def probe(url: str, stop: Event, answers: Any) -> None:
    """Request `/livez` repeatedly. Put the ms of each answer and the number of failures into the queue."""
    took, failed = [], 0
    with httpx.Client(transport=httpx.HTTPTransport(local_address=OF_PROBE), timeout=30) as http:
        while not stop.is_set():
            begun = time.perf_counter()
            try:
                failed += http.get(f"{url}/livez").status_code != 200
            except httpx.HTTPError:
                failed += 1
            took.append(1000 * (time.perf_counter() - begun))
            time.sleep(PROBE_S)
    answers.put((took, failed))


@dataclass
class Seen:
    """What other clients observed during the attack."""

    light_s: list[float] = field(default_factory=list)
    light: Tally = field(default_factory=Tally)
    readers: Tally = field(default_factory=Tally)
    sent: list[int] = field(default_factory=list)


async def use(server: Server, known: argparse.Namespace, run_id: str) -> Seen:
    """Run one light user, and many clients that download a large result at the same time."""
    seen, until = Seen(), time.monotonic() + known.seconds

    async def run_light() -> None:
        async with Visitor(server.url, seen.light, OF_LIGHT) as light:
            for seed in itertools.count(1):
                begun = time.perf_counter()
                with contextlib.suppress(Failed):  # it is in the tally
                    await light.compute({"seed": seed})
                seen.light_s.append(time.perf_counter() - begun)
                if time.monotonic() > until:
                    return
                await asyncio.sleep(PAUSE_S)

    async def download(number: int) -> None:
        async with Visitor(server.url, seen.readers, OF_READER.format(1 + number // PER_READER)) as reader:
            with contextlib.suppress(Failed):  # it is in the tally
                seen.sent.append(await reader.download(f"{API}/runs/{run_id}/result.json"))

    await asyncio.gather(run_light(), *map(download, range(known.downloads)))
    return seen


def attack(server: Server, known: argparse.Namespace) -> list[Row]:
    """Run all loads together, then measure the server without them."""
    run_id = asyncio.run(prepare(server, known.depth))
    before = read_resident(server.process.pid)
    context = multiprocessing.get_context("spawn")
    stop, answers = context.Event(), context.Queue()
    prober = context.Process(target=probe, args=(server.url, stop, answers))
    with hold(server, known, run_id) as holders:
        time.sleep(SETTLE_S)
        prober.start()
        seen = asyncio.run(use(server, known, run_id))
        stop.set()
        livez, failed = answers.get()
        prober.join()
        held = ", ".join(f"{holder.open} open, {holder.opened} in all" for holder in holders)
    time.sleep(AFTER_S)
    memory = read_resident(server.process.pid) / before
    of = f"{known.half_open} half-open, {known.streams} unread, {known.bodies} half bodies, {known.downloads} downloads"
    log = read_log(server, "ERROR", "Traceback")
    errors = seen.light.errors + seen.readers.errors
    return [
        Row("/livez, median", f"{of}; {len(livez)} probes", statistics.median(livez), "ms"),
        Row("/livez, p99", of, statistics.quantiles(livez, n=100)[98], "ms", TARGET_LIVEZ_MS),
        Row("/livez without an answer", of, failed, "", 0),
        Row("light run, median", of, statistics.median(seen.light_s), "s"),
        Row("light run, p95", f"{of}; {len(seen.light_s)} runs", to_p95(seen.light_s), "s", TARGET_LIGHT_S),
        Row("light run, told to wait", "429 or 503", sum(seen.light.refused.values()), ""),
        Row("downloads sent", f"{len(seen.sent)} x result.json", sum(seen.sent) / 1e6, "MB"),
        Row("one download", "its smallest", min(seen.sent, default=0) / 1e6, "MB"),
        Row("downloads told to wait", "429 or 503", sum(seen.readers.refused.values()), ""),
        Row("memory of the server, after", f"{before / 1e6:.0f} MB before", memory, "x", TARGET_MEMORY),
        Row("errors", held, len(errors), "", 0, reason="; ".join(errors[:3])),
        Row("errors in the log of the server", "lines with ERROR or Traceback", len(log), "", 0),
    ]


async def prepare(server: Server, depth: int) -> str:
    """Compute a large run, whose result is written and sent once. Return its id."""
    tally = Tally()
    async with Visitor(server.url, tally, OF_READER.format(250)) as visitor:
        run_id = await visitor.compute({**LARGE, "depth": depth})
        await visitor.download(f"{API}/runs/{run_id}/result.json")
        for seed in range(3):
            await visitor.compute({"seed": seed, "width": 32})
    return run_id


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the numbers of clients and seconds; the defaults are those of the published table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--half-open", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=520)
    parser.add_argument("--bodies", type=int, default=200)
    parser.add_argument("--downloads", type=int, default=100)
    parser.add_argument("--depth", type=int, default=1000, help="layers of the run that is downloaded")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--nice", type=int, default=0)
    return parser.parse_args(arguments)


def measure(known: argparse.Namespace) -> list[Row]:
    """Start a server, and measure."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serve(descriptors=DESCRIPTORS) as server:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # of this process, behind the server's start
        return attack(server, known)


def main() -> None:
    """Print the table."""
    known = parse()
    begin(known.nice)
    print(format_table(measure(known)))


if __name__ == "__main__":
    main()

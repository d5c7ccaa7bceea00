"""Two checkouts of the product as processes: their servers, their command lines, and the same question put to both."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

# Long, for a machine that others share: its workers are nice and wait for their turn.
START_S, STOP_S, ANSWER_S = 300.0, 30.0, 300.0
# One worker gets all cores of the machine as threads, so both servers add up numbers in the same order.
FLAGS = ("--no-precompute", "--workers", "1")


@dataclass(frozen=True)
class Question:
    """A request: GET, or POST where there is a body."""

    path: str
    params: Any = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(httpx.URL(self.path, params=self.params)) if self.params else self.path


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Checkout:
    """A folder with the product in it."""

    folder: Path

    def require_own_packages(self) -> None:
        """Fail where Python would import the packages of another folder, such as an installed one."""
        found = self.call_python("-c", "import mhc_core; print(mhc_core.__file__)")
        for path in found.stdout.splitlines():
            if not Path(path).is_relative_to(self.folder):
                raise RuntimeError(f"{self.folder} would run {path}")

    def call(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`python -m app` with these arguments."""
        return self.call_python("-m", "app", *arguments, stdin=stdin)

    def call_python(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Python with the packages of this checkout; its failure is an error."""
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, input=stdin, capture_output=True, text=True, check=True
        )

    @property
    def environment(self) -> dict[str, str]:
        """Without an operator's settings and without a GPU, on which sums are not always added in the same order."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MHC_")}
        return kept | {"PYTHONPATH": f"{self.folder}:{self.folder / 'app'}", "CUDA_VISIBLE_DEVICES": ""}


class Server:
    """A running `python -m app serve` of a checkout."""

    def __init__(self, checkout: Checkout, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        port = find_free_port()
        command = [sys.executable, "-m", "app", "serve", "--port", str(port), "--data", str(data), *FLAGS]
        self._folder, self._log = checkout.folder, data / "server.log"
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(
                command, cwd=checkout.folder, env=checkout.environment, stdout=sink, stderr=sink
            )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_S)

    def wait(self) -> None:
        """Until it takes runs."""
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if self.http.get("/readyz").status_code == 200:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"the server of {self._folder} did not become ready:\n{self._log.read_text()}")

    def ask(self, question: Question) -> Answer:
        """The answer, whatever its status."""
        method = "GET" if question.body is None else "POST"
        found = self.http.request(
            method, question.path, params=question.params, json=question.body, headers=question.headers
        )
        return Answer(found.status_code, found.content)

    def stop(self) -> None:
        """Ask it to stop, and wait until the data folder is free."""
        self.http.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=STOP_S)
        finally:
            self._process.kill()


@dataclass(frozen=True)
class Pair:
    """The servers of both checkouts; work on them is done side by side."""

    before: Server
    after: Server

    def each(self, work: Callable[[Server], T]) -> tuple[T, T]:
        """What `work` gives for both."""
        return do_both(work, self.before, self.after)

    def ask(self, question: Question) -> tuple[Answer, Answer]:
        """Both answers."""
        return self.each(lambda server: server.ask(question))

    def ask_all(self, questions: Sequence[Question]) -> Iterable[tuple[Question, Answer, Answer]]:
        """Questions with both answers, as they come."""
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            answers = zip(first.map(self.before.ask, questions), second.map(self.after.ask, questions), strict=True)
            for question, (before, after) in zip(questions, answers, strict=True):
                yield question, before, after


def do_both(work: Callable[[Any], T], before: Any, after: Any) -> tuple[T, T]:
    """The same work on two things at once."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, (before, after))
    return first, second


@contextmanager
def serve_both(before: tuple[Checkout, Path], after: tuple[Checkout, Path]) -> Iterator[Pair]:
    """Servers of two checkouts, each with a data folder."""
    pair = Pair(Server(*before), Server(*after))
    try:
        pair.each(Server.wait)
        yield pair
    finally:
        pair.each(Server.stop)


def find_free_port() -> int:
    """A loopback port that no one listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

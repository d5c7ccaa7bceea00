"""Clients that post specs and follow them, one after the other, until they are told to stop."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from tests.endurance.site.ledger import Ledger
from tests.endurance.site.viewers import follow

# Some that end at once, and some that are under way for a second or two, so that most moments have both.
DEPTHS, WIDTHS = (4, 16, 64, 128), (16, 32)
RETRY_S, PATIENCE_S = 0.2, 240.0


class Load:
    """So many clients, each with one run under way."""

    def __init__(self, urls: Sequence[str], clients: int, ledger: Ledger) -> None:
        self._urls, self._ledger = list(urls), ledger
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(clients)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each client see the end of its run."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S + 60)

    def _work(self, number: int) -> None:
        draw = random.Random(number)
        while not self._stopping.is_set():
            urls = draw.sample(self._urls, len(self._urls))
            spec = draw_spec(draw)
            try:
                self._compute(urls, spec)
            except Exception as error:  # a client that fails is a result, and not the end of the trial
                self._ledger.note_wrong(f"client {number}: {type(error).__name__}: {error}")

    def _compute(self, urls: Sequence[str], spec: dict[str, Any]) -> None:
        run_id = self._post(urls, spec)
        if run_id is not None:
            self._ledger.note_taken(run_id, spec)
            self._ledger.note_followed(follow(urls, run_id, PATIENCE_S))

    def _post(self, urls: Sequence[str], spec: dict[str, Any]) -> str | None:
        """Post until it is taken; None where the load is to stop before."""
        deadline, tries = time.monotonic() + PATIENCE_S, 0
        with httpx.Client(timeout=60) as http:
            while time.monotonic() < deadline:
                url = urls[tries % len(urls)]
                tries += 1
                with contextlib.suppress(httpx.TransportError):
                    answer = http.post(f"{url}/api/v1/runs", json=spec)
                    self._ledger.note_answer(answer)
                    if answer.status_code in (200, 202):
                        return str(answer.json()["id"])
                if self._stopping.wait(RETRY_S):
                    return None
        self._ledger.note_wrong(f"no run was taken for {PATIENCE_S:g} s")
        return None


def draw_spec(draw: random.Random) -> dict[str, Any]:
    """A spec that no one has posted before."""
    return {
        "depth": draw.choice(DEPTHS),
        "width": draw.choice(WIDTHS),
        "input": {"tokens": 16},
        "seed": int.from_bytes(random.SystemRandom().randbytes(4), "little"),
    }


@contextlib.contextmanager
def under_load(urls: Sequence[str], clients: int, ledger: Ledger) -> Iterator[None]:
    """Clients work while the context lasts; after it each has seen the end of its run."""
    load = Load(urls, clients, ledger)
    load.start()
    try:
        yield
    finally:
        load.stop()

"""A client that asks again and again how a server is, and one that posts small runs: what they are told, and when."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from tests.endurance.site.ledger import Ledger
from tests.endurance.site.load import draw_spec

LOOK_S, TIMEOUT_S = 0.5, 90.0


@dataclass
class Heard:
    """What probes were told while a fault lasted.

    Attributes
    ----------
    unready: what `/readyz` said was wrong of what is needed, with how often.
    longest_s: of the answers to POST /runs and to GET /readyz.
    posted_at: when a POST was taken, by `time.monotonic`.
    """

    unready: dict[str, int] = field(default_factory=dict)
    longest_s: dict[str, float] = field(default_factory=dict)
    posted_at: list[float] = field(default_factory=list)


class Probes:
    """Both clients, in threads."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        self._url, self._ledger, self.heard = url, ledger, Heard()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._look, self._post)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait for the last answers."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S + 10)

    def _look(self) -> None:
        with httpx.Client(base_url=self._url, timeout=TIMEOUT_S) as http:
            while not self._stopping.wait(LOOK_S):
                answer = self._ask(http, "GET", "/readyz", None)
                for name, check in () if answer is None else answer.json()["checks"].items():
                    if check["why"]:
                        said = f"{name}: {check['why']}"
                        self.heard.unready[said] = self.heard.unready.get(said, 0) + 1

    def _post(self) -> None:
        draw = random.Random(7)
        with httpx.Client(base_url=self._url, timeout=TIMEOUT_S) as http:
            while not self._stopping.wait(LOOK_S):
                answer = self._ask(http, "POST", "/api/v1/runs", draw_spec(draw) | {"depth": 2})
                if answer is not None:
                    self._ledger.note_answer(answer)
                if answer is not None and answer.is_success:
                    self.heard.posted_at.append(time.monotonic())

    def _ask(self, http: httpx.Client, method: str, path: str, body: object) -> httpx.Response | None:
        """The answer; none is a result too."""
        begun = time.monotonic()
        try:
            return http.request(method, path, json=body)
        except httpx.TransportError as error:
            self._ledger.note_wrong(f"{method} {path}: {type(error).__name__} after {time.monotonic() - begun:.1f} s")
            return None
        finally:
            took = time.monotonic() - begun
            self.heard.longest_s[path] = max(self.heard.longest_s.get(path, 0.0), took)


@contextlib.contextmanager
def probing(url: str, ledger: Ledger) -> Iterator[Heard]:
    """What is heard while the context lasts."""
    probes = Probes(url, ledger)
    probes.start()
    try:
        yield probes.heard
    finally:
        probes.stop()

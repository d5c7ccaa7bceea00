"""Define what an engine needs of a worker, wherever it runs."""

import asyncio
from typing import Any, Protocol


class Worker(Protocol):
    """Accept commands and answer in lines; `mhc_scope.engine.worker_process` defines which."""

    @property
    def name(self) -> str:
        """Return the name by which operators find the worker."""

    @property
    def was_killed(self) -> bool:
        """Return whether the engine killed the worker."""

    def send(self, command: dict[str, Any]) -> None:
        """Send a command; one to a dead worker is lost, which its reader notices."""

    async def next_lines(self, given_up: asyncio.Future[None] | None = None) -> list[bytes]:
        """Return whole lines as they arrive, several at a time; none when it has ended or is given up."""

    async def wait(self) -> object:
        """Wait until the worker has ended."""

    async def explain_end(self) -> str:
        """Return for people why the worker ended; wait until it has ended."""

    def kill(self) -> None:
        """Kill the worker immediately; do nothing if it has ended."""


def without_edits(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec of a job without its edits. Jobs that differ in nothing else share a pass."""
    return {key: value for key, value in spec.items() if key != "edits"}

"""Define the interface of a worker for an engine, wherever the worker runs."""

import asyncio
from typing import Any, Protocol


class Worker(Protocol):
    """Accepts commands and answers with lines, as `mhc_scope.engine.worker_process` defines them."""

    @property
    def name(self) -> str:
        """Return the name with which operators can find the worker."""

    @property
    def was_killed(self) -> bool:
        """Return whether the engine killed the worker."""

    def send(self, command: dict[str, Any]) -> None:
        """Send a command. A command to a dead worker is lost; the reader of its lines notices that it has ended."""

    async def next_lines(self, given_up: asyncio.Future[None] | None = None) -> list[bytes]:
        """Wait for the next complete lines and return them; [] when the worker has ended or `given_up` is done."""

    async def wait(self) -> object:
        """Wait until the worker has ended."""

    async def explain_end(self) -> str:
        """Wait until the worker has ended, and return the reason in words."""

    def kill(self) -> None:
        """Kill the worker immediately; do nothing if it has ended."""


def without_edits(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec of a job without its edits.

    Jobs whose specs are then equal can use the same pass without edits: `handover.py` prefers the worker that has it.
    """
    return {key: value for key, value in spec.items() if key != "edits"}

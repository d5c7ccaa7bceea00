"""What an engine needs of a worker, wherever it runs."""

import asyncio
from typing import Any, Protocol


class Worker(Protocol):
    """Takes commands and answers in lines; `mhc_scope.engine.worker_process` says which."""

    @property
    def name(self) -> str:
        """What operators find it by."""

    @property
    def was_killed(self) -> bool:
        """Whether it was ended from here."""

    def send(self, command: dict[str, Any]) -> None:
        """Send a command; to a worker that has died it is lost, which its reader notices."""

    async def next_lines(self, given_up: asyncio.Future[None] | None = None) -> list[bytes]:
        """Whole lines as they arrive, several where they come fast; none when it has ended or is given up."""

    async def wait(self) -> object:
        """Until it has ended."""

    async def explain_end(self) -> str:
        """Why it ended, for people; waits until it has."""

    def kill(self) -> None:
        """End it at once; a worker that has already ended is left alone."""

"""The log of frames for several servers: frames that other servers may write are read from the database."""

from collections.abc import Sequence

from mhc_core.record.summary import EndStatus
from mhc_scope.store.claims import RunClaim
from mhc_scope.store.frame_log import FrameLog


class SharedFrameLog(FrameLog):
    """A log of frames that caches only runs that this server computes."""

    def begin(self, run_id: str, claim: RunClaim | None = None) -> None:
        """Start an empty log. A live recording is not cached, because its frames may be sent to any server."""
        super().begin(run_id, claim)
        if claim is None:
            self.forget(run_id)

    async def finish(
        self,
        run_id: str,
        index: int,
        status: EndStatus,
        reason: str | None,
        claim: RunClaim | None = None,
        seconds: float = 0.0,
        lines: Sequence[bytes] = (),
    ) -> None:
        """Append the last frames and the end frame of a run.

        A run that is not done is removed from the cache, because it may restart on any server.
        """
        await super().finish(run_id, index, status, reason, claim, seconds, lines)
        if status != "done":
            self.forget(run_id)

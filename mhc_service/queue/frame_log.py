"""The log of frames if other servers write too: what they may write is read from the database."""

from collections.abc import Sequence

from mhc_core.record.summary import EndStatus
from mhc_scope.store.claims import RunClaim
from mhc_scope.store.frame_log import FrameLog


class SharedFrameLog(FrameLog):
    """Cache the runs that this server computes, and no others."""

    def begin(self, run_id: str, claim: RunClaim | None = None) -> None:
        """Start an empty log; that of a live trace, whose frames may come to any server, is not cached."""
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
        """Append the end frame of a run; a run that is not done may be restarted elsewhere, and leaves the cache."""
        await super().finish(run_id, index, status, reason, claim, seconds, lines)
        if status != "done":
            self.forget(run_id)

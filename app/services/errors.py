"""Why a service refuses. `app.api.http.problems` says which HTTP status each has."""

from collections.abc import Sequence

from mhc_core.spec import SpecError


class RefusedError(Exception):
    """A refusal: one sentence for people, and the fields that are at fault."""

    def __init__(self, detail: str, errors: Sequence[SpecError] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)


class InvalidRequestError(RefusedError):
    """The request cannot be carried out as it stands."""


class TooExpensiveError(RefusedError):
    """It is predicted to cost more than this server admits."""


class NoSpecError(RefusedError):
    """The record was not computed from a spec, so it cannot be computed again."""


class InvalidTraceError(RefusedError):
    """The file is no trace, or its frames are not what they say."""


class NotATraceError(RefusedError):
    """The record was computed from a spec, and what is asked is for traces."""


class UnknownTraceError(RefusedError):
    """There is no such live trace."""


class WrongTokenError(RefusedError):
    """The caller may not write this trace."""


class HasEndedError(RefusedError):
    """The trace has ended, and takes nothing more."""


class GapError(RefusedError):
    """Frames are missing before those that were sent.

    Attributes
    ----------
    due: index of the frame that comes next.
    """

    def __init__(self, due: int, got: int) -> None:
        error = SpecError("index", got, f"{due}, which is due next, or less")
        super().__init__(str(error), [error])
        self.due = due


class NoRoomError(RefusedError):
    """There is no room now; the same request may succeed later.

    Attributes
    ----------
    retry_after_s: when to ask again.
    """

    retry_after_s = 2


class TooManyRunsError(NoRoomError):
    """The client's own share is used up."""


class TooManyTracesError(NoRoomError):
    """The client has brought as many traces as it may for now."""

    retry_after_s = 60


class TooManyLiveTracesError(NoRoomError):
    """As many traces grow as this server takes."""

    retry_after_s = 60


class QueueFullError(NoRoomError):
    """The server's queue is full."""


class EncodersBusyError(NoRoomError):
    """As many large files are being written as this server takes."""

    retry_after_s = 5


class EncodingFailedError(NoRoomError):
    """A large file could not be written: the disk is full, or the process died."""

    retry_after_s = 30

"""Name the reasons for which a service refuses. `mhc_scope.api.problems` maps each to an HTTP status."""

import math
from collections.abc import Sequence

from mhc_core.spec import SpecError


class RefusalError(Exception):
    """A refusal: one sentence for people, and the invalid fields."""

    def __init__(self, detail: str, errors: Sequence[SpecError] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)


class InvalidRequestError(RefusalError):
    """The request cannot be carried out as it is."""


class TooExpensiveError(RefusalError):
    """The predicted cost exceeds what this server admits."""


class InvalidTokenError(RefusalError):
    """The access token is unknown or has expired."""


class NoTokenError(RefusalError):
    """The caller may do this only with an access token, and sent none."""


class MissingRightError(RefusalError):
    """The caller is known, and does not have the right to do this."""


class NotOwnerError(RefusalError):
    """The request is reserved for the owner."""


class NoSpecError(RefusalError):
    """The record was not computed from a spec, so it cannot be computed again."""


class InvalidTraceError(RefusalError):
    """The file is not a trace, or its frames are inconsistent."""


class NotATraceError(RefusalError):
    """The record was computed from a spec, and the request is for traces."""


class UnknownTraceError(RefusalError):
    """No such live trace exists."""


class WrongTokenError(RefusalError):
    """The caller may not write this trace."""


class TraceEndedError(RefusalError):
    """The trace has ended, and accepts no more frames."""


class FrameGapError(RefusalError):
    """Frames are missing before those that were sent.

    Attributes
    ----------
    due: index of the frame that comes next.
    """

    def __init__(self, due: int, got: int) -> None:
        error = SpecError("index", got, f"{due}, which is due next, or less")
        super().__init__(str(error), [error])
        self.due = due


class NoCapacityError(RefusalError):
    """A limit is reached; the same request may succeed later.

    Attributes
    ----------
    retry_after_s: when to try again.
    """

    retry_after_s = 2

    def __init__(self, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        if retry_after_s is not None:
            self.retry_after_s = max(1, math.ceil(retry_after_s))


class TooManyRunsError(NoCapacityError):
    """The quota of the client, or of its address, in the queue is used up."""


class TooMuchStoredError(NoCapacityError):
    """The client, or its address, has stored as much as it may."""

    retry_after_s = 3600


class TooMuchReadError(NoCapacityError):
    """The client, or its address, has read as much as it may for now."""

    retry_after_s = 10


class TooManyStreamsError(NoCapacityError):
    """The client, or its address, has as many event streams open as it may."""

    retry_after_s = 5


class ServerStreamLimitError(NoCapacityError):
    """This server has as many event streams open as it allows."""

    retry_after_s = 5


class TooManyLiveTracesError(NoCapacityError):
    """This server has as many live traces as it allows."""

    retry_after_s = 60


class StorageFullError(NoCapacityError):
    """Nothing more is stored until old runs have been deleted or the operator has freed disk space."""

    retry_after_s = 60


class QueueFullError(NoCapacityError):
    """The server's queue is full."""


class RoomKeyRequiredError(RefusalError):
    """The caller does not have the key of the room."""


class RoomTokenRequiredError(RefusalError):
    """The caller may not create rooms here."""


class TooManyRoomsError(NoCapacityError):
    """This server has as many rooms as it allows."""

    retry_after_s = 3600


class EncodersBusyError(NoCapacityError):
    """This server is writing as many large files as it allows."""

    retry_after_s = 5


class EncodingFailedError(NoCapacityError):
    """A large file could not be written: the disk is full, or the process died."""

    retry_after_s = 30

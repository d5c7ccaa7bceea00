"""Define the errors with which services refuse requests. `mhc_scope.api.problems` maps each to an HTTP status."""

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
    """The request needs an access token, and has none."""


class MissingRightError(RefusalError):
    """The client is known, but does not have the right to do this."""


class NotOwnerError(RefusalError):
    """Only the owner may do this."""


class NoSpecError(RefusalError):
    """The record was not computed from a spec, so it cannot be computed again."""


class InvalidTraceError(RefusalError):
    """The file is not a recording, or its frames are inconsistent."""

    def __init__(self, error: SpecError) -> None:
        super().__init__(str(error), [error])


class NotATraceError(RefusalError):
    """The request is for recordings, but the record was computed from a spec."""


class UnknownTraceError(RefusalError):
    """No live recording has this id."""


class WrongTokenError(RefusalError):
    """The token does not allow writing this recording."""


class TraceEndedError(RefusalError):
    """The recording has ended and accepts no more frames."""


class FrameGapError(RefusalError):
    """Frames are missing before those that were sent.

    Attributes
    ----------
    due: index of the frame that must come next.
    """

    def __init__(self, due: int, got: int) -> None:
        error = SpecError("index", got, f"{due}, which is due next, or less")
        super().__init__(str(error), [error])
        self.due = due


class NoCapacityError(RefusalError):
    """A limit is reached; the same request may succeed later.

    Attributes
    ----------
    retry_after_s: seconds after which to try again.
    """

    retry_after_s = 2

    def __init__(self, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        if retry_after_s is not None:
            self.retry_after_s = max(1, math.ceil(retry_after_s))


class TooManyRunsError(NoCapacityError):
    """The quota of queued runs of the client, or of its address, is used up."""


class TooMuchStoredError(NoCapacityError):
    """The quota of stored bytes of the client, or of its address, is used up."""

    retry_after_s = 3600


class TooMuchReadError(NoCapacityError):
    """The quota of read bytes of the client, or of its address, is used up for now."""

    retry_after_s = 10


class TooManyStreamsError(NoCapacityError):
    """The client, or its address, has the largest allowed number of event streams open."""

    retry_after_s = 5


class ServerStreamLimitError(NoCapacityError):
    """The server has the largest allowed number of event streams open."""

    retry_after_s = 5


class TooManyLiveTracesError(NoCapacityError):
    """The server has the largest allowed number of live recordings."""

    retry_after_s = 60


class StorageFullError(NoCapacityError):
    """Nothing more is stored until old runs have been deleted or the operator has freed disk space."""

    retry_after_s = 60


class QueueFullError(NoCapacityError):
    """The server's queue is full."""


class RoomKeyRequiredError(RefusalError):
    """The request does not have the key of the room."""


class RoomTokenRequiredError(RefusalError):
    """The client may not create rooms without an access token."""


class TooManyRoomsError(NoCapacityError):
    """The server has the largest allowed number of rooms."""

    retry_after_s = 3600


class EncodersBusyError(NoCapacityError):
    """The server is writing the largest allowed number of large files."""

    retry_after_s = 5


class EncodingFailedError(NoCapacityError):
    """A large file could not be written: the disk is full, or the process died."""

    retry_after_s = 30

"""Why a service refuses. `mhc_scope.api.http.problems` says which HTTP status each has."""

import math
from collections.abc import Sequence

from mhc_core.spec import SpecError


class RefusalError(Exception):
    """A refusal: one sentence for people, and the fields that are at fault."""

    def __init__(self, detail: str, errors: Sequence[SpecError] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)


class InvalidRequestError(RefusalError):
    """The request cannot be carried out as it stands."""


class TooExpensiveError(RefusalError):
    """It is predicted to cost more than this server admits."""


class InvalidTokenError(RefusalError):
    """The access token is unknown or has expired."""


class NoTokenError(RefusalError):
    """The caller may do this only with an access token, and gave none."""


class NoRightError(RefusalError):
    """The caller is known, and has not the right to do this."""


class NotOwnerError(RefusalError):
    """What is asked is for the owner alone."""


class NoSpecError(RefusalError):
    """The record was not computed from a spec, so it cannot be computed again."""


class InvalidTraceError(RefusalError):
    """The file is no trace, or its frames are not what they say."""


class NotATraceError(RefusalError):
    """The record was computed from a spec, and what is asked is for traces."""


class UnknownTraceError(RefusalError):
    """There is no such live trace."""


class WrongTokenError(RefusalError):
    """The caller may not write this trace."""


class HasEndedError(RefusalError):
    """The trace has ended, and takes nothing more."""


class GapError(RefusalError):
    """Frames are missing before those that were sent.

    Attributes
    ----------
    due: index of the frame that comes next.
    """

    def __init__(self, due: int, got: int) -> None:
        error = SpecError("index", got, f"{due}, which is due next, or less")
        super().__init__(str(error), [error])
        self.due = due


class NoRoomError(RefusalError):
    """There is no room now; the same request may succeed later.

    Attributes
    ----------
    retry_after_s: when to ask again.
    """

    retry_after_s = 2

    def __init__(self, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        if retry_after_s is not None:
            self.retry_after_s = max(1, math.ceil(retry_after_s))


class TooManyRunsError(NoRoomError):
    """The share of the queue of the client, or of its address, is used up."""


class TooMuchStoredError(NoRoomError):
    """The client, or its address, has stored as much as it may."""

    retry_after_s = 3600


class TooMuchReadError(NoRoomError):
    """The client, or its address, has asked for as much as it may for now."""

    retry_after_s = 10


class TooManyStreamsError(NoRoomError):
    """The client, or its address, has as many event streams open as it may."""

    retry_after_s = 5


class ServerStreamsError(NoRoomError):
    """As many event streams are open as this server bears."""

    retry_after_s = 5


class TooManyLiveTracesError(NoRoomError):
    """As many traces grow as this server takes."""

    retry_after_s = 60


class StorageFullError(NoRoomError):
    """Nothing more is stored until old runs have been dropped or the operator has made room."""

    retry_after_s = 60


class QueueFullError(NoRoomError):
    """The server's queue is full."""


class NotTheTeacherError(RefusalError):
    """The caller has not the key of the room."""


class MayNotTeachError(RefusalError):
    """The caller may not make rooms here."""


class TooManyRoomsError(NoRoomError):
    """There are as many rooms as this server takes."""

    retry_after_s = 3600


class EncodersBusyError(NoRoomError):
    """As many large files are being written as this server takes."""

    retry_after_s = 5


class EncodingFailedError(NoRoomError):
    """A large file could not be written: the disk is full, or the process died."""

    retry_after_s = 30

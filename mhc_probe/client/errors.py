"""Define the errors of a client."""

from collections.abc import Mapping
from typing import Any

import orjson

from mhc_core.spec.errors import SpecError


class ClientError(Exception):
    """A call failed: an argument is invalid, the server refused it, or the server is unreachable."""


class ArgumentError(SpecError, ClientError):
    """An argument of a call is invalid. Names the argument, the value received and the values allowed."""


class LostError(ClientError):
    """The server was unreachable for longer than `patience_s`."""


class RunFailedError(ClientError):
    """A run ended without a result.

    Attributes
    ----------
    run_id: id of the run.
    status: `failed` or `cancelled`.
    reason: the server's reason; None if it gives none.
    """

    def __init__(self, run_id: str, status: str, reason: str | None) -> None:
        self.run_id, self.status, self.reason = run_id, status, reason
        super().__init__(f"run {run_id} is {status}" + (f": {reason}" if reason else ""))


class RefusedError(ClientError):
    """The server refused the request, with a reason (RFC 9457).

    Attributes
    ----------
    status: HTTP status code.
    kind: kind of the problem, such as `invalid-spec`; "" if the response is no problem document.
    detail: one sentence.
    errors: field, value received and value allowed, for each mistake.
    """

    def __init__(self, status: int, kind: str, detail: str, errors: list[SpecError]) -> None:
        self.status, self.kind, self.detail, self.errors = status, kind, detail, errors
        super().__init__(f"{detail} ({status}{f', {kind}' if kind else ''})")

    @classmethod
    def read(cls, status: int, headers: Mapping[str, str], body: bytes) -> "RefusedError":
        """Build the error from a server's response that refuses a request."""
        if not headers.get("content-type", "").startswith("application/problem+json"):
            text = body.decode(errors="replace").strip()[:200]
            return cls(status, "", text or "the server gave no reason", [])
        problem: dict[str, Any] = orjson.loads(body)
        errors = [SpecError(item["field"], item["got"], item["wanted"]) for item in problem["errors"]]
        return cls(status, problem["type"].partition("#problem-")[2], problem["detail"], errors)

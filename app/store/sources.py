"""Where a record comes from: a spec that was computed here, or a trace that someone brought."""

from typing import Any, Literal, TypedDict


class SpecSource(TypedDict):
    """A spec, in its canonical form."""

    kind: Literal["spec"]
    spec: dict[str, Any]


class TraceSource(TypedDict):
    """A model that ran elsewhere: its name, and the versions of what it ran with."""

    kind: Literal["trace"]
    model: str
    versions: dict[str, Any]


Source = SpecSource | TraceSource


def from_spec(spec: dict[str, Any]) -> SpecSource:
    """The source of a record that is computed from this canonical spec."""
    return {"kind": "spec", "spec": spec}

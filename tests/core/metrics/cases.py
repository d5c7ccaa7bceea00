"""What metrics are held against: a measured result, and the states that it should describe."""

from typing import Any

from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_core.stack import build_stack
from tests.core.conftest import CONNECTIONS, build_spec
from tests.core.reference import Trace, trace

NOISY = {name: {**connection, "noise": 0.6} for name, connection in CONNECTIONS.items()}
LITTLE: dict[str, Any] = {"input": {"batch": 2, "tokens": 16}}

Case = tuple[str, Result, Trace]


def traced(connection: dict[str, Any]) -> Trace:
    """States of the network as reference.py computes them, samples of all sequences in one axis."""
    return trace_spec(build_spec(connection=connection))


def trace_spec(spec: RunSpec) -> Trace:
    """The same of any spec."""
    found = trace(build_stack(spec))
    found.states = [x.reshape(len(x), -1, x.shape[-1]) for x in found.states]
    found.merged = [m.reshape(-1, m.shape[-1]) for m in found.merged]
    found.u = [u.reshape(-1, u.shape[-1]) for u in found.u]
    found.y = [y.reshape(-1, y.shape[-1]) for y in found.y]
    for column in (found.h_pre, found.h_post, found.h_res):
        column[:] = [h.reshape(-1, *h.shape[2:]) for h in column]
    return found

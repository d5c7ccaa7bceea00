"""How layers are joined. A new family is one file with a `build_` function and one line here."""

from collections.abc import Callable

from mhc_core.connections.connection import MATRICES, Connection, Mixing, name_parts
from mhc_core.connections.frac import build_frac
from mhc_core.connections.hc import build_hc
from mhc_core.connections.identity_hc import build_identity_hc
from mhc_core.connections.kromhc import build_kromhc
from mhc_core.connections.mhc import build_mhc
from mhc_core.connections.mhc_lite import build_mhc_lite
from mhc_core.connections.orthostochastic import build_orthostochastic
from mhc_core.connections.residual import build_none, build_residual
from mhc_core.spec import RunSpec

CONNECTIONS: dict[str, Callable[[RunSpec], Connection]] = {
    "none": build_none,
    "residual": build_residual,
    "hc": build_hc,
    "mhc": build_mhc,
    "mhc_lite": build_mhc_lite,
    "kromhc": build_kromhc,
    "orthostochastic": build_orthostochastic,
    "identity_hc": build_identity_hc,
    "frac": build_frac,
}

__all__ = ["CONNECTIONS", "MATRICES", "Connection", "Mixing", "build_connection", "name_parts"]


def build_connection(spec: RunSpec) -> Connection:
    """The connection that the spec names."""
    return CONNECTIONS[spec.connection.kind](spec)

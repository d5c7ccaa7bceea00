"""How layers are joined: one interface for every family of `mhc_core.families`."""

from mhc_core.connections.connection import (
    MATRICES,
    Connection,
    DepthReads,
    EditedQuery,
    GatedMixing,
    Made,
    Mixing,
    Query,
    group_coefficients,
)
from mhc_core.connections.manifold import build_manifold
from mhc_core.discovery import load
from mhc_core.spec import RunSpec

__all__ = [
    "MATRICES",
    "Connection",
    "DepthReads",
    "EditedQuery",
    "GatedMixing",
    "Made",
    "Mixing",
    "Query",
    "build_connection",
    "group_coefficients",
]


def build_connection(spec: RunSpec) -> Connection:
    """Build the connection that the spec names."""
    if spec.family.is_mapped:
        return build_manifold(spec)
    connection: Connection = load(spec.family.build)(spec)
    return connection

"""Builds the connection of a spec, which joins its layers, and exports the interface of all connections."""

from mhc_core.discovery import load
from mhc_core.family import ResidualMap
from mhc_core.layers.connection import (
    MATRICES,
    Connection,
    DepthReads,
    EditedQuery,
    GatedMixing,
    Made,
    Mixing,
    PassedMixing,
    Query,
    RecordedMixing,
    WithStreams,
    group_coefficients,
)
from mhc_core.layers.manifold import DynamicManifold, StaticManifold
from mhc_core.layers.previous import DynamicPrevious, StaticPrevious
from mhc_core.spec import RunSpec

__all__ = [
    "MATRICES",
    "Connection",
    "DepthReads",
    "EditedQuery",
    "GatedMixing",
    "Made",
    "Mixing",
    "PassedMixing",
    "Query",
    "RecordedMixing",
    "WithStreams",
    "build_connection",
    "group_coefficients",
]


def build_connection(spec: RunSpec) -> Connection:
    """Build the module that joins the layers of a spec, by the connection's family."""
    if spec.family.is_mapped:
        return _build_manifold(spec)
    return load(spec.family.build)(spec)


def _build_manifold(spec: RunSpec) -> Connection:
    """Build the connection of a family with a map: static or dynamic, and with H_pre of the same layer or of the layer
    before.
    """
    residual_map: ResidualMap = load(spec.family.map)(spec.map_settings)
    if spec.connection.reads_previous:
        return (DynamicPrevious if spec.connection.is_dynamic else StaticPrevious)(spec, residual_map)
    return (DynamicManifold if spec.connection.is_dynamic else StaticManifold)(spec, residual_map)

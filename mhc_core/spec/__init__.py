"""What to run: the one definition behind validation, OpenAPI, the page's controls and the command line."""

from mhc_core.spec.block import BlockSpec
from mhc_core.spec.connection import CONNECTION_KINDS, COPYING, MANIFOLD, MULTI_STREAM, ConnectionSpec
from mhc_core.spec.errors import SpecError, SpecErrors
from mhc_core.spec.input import InputSpec
from mhc_core.spec.run_spec import DEFAULT_SEED, NUMERICS_VERSION, RunSpec, parse_spec
from mhc_core.spec.train import TrainSpec

__all__ = [
    "CONNECTION_KINDS",
    "COPYING",
    "DEFAULT_SEED",
    "MANIFOLD",
    "MULTI_STREAM",
    "NUMERICS_VERSION",
    "BlockSpec",
    "ConnectionSpec",
    "InputSpec",
    "RunSpec",
    "SpecError",
    "SpecErrors",
    "TrainSpec",
    "parse_spec",
]

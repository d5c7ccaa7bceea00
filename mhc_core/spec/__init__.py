"""The spec: the definition of a run, from which validation, OpenAPI, the page's controls and commands follow."""

from mhc_core.families import FAMILIES
from mhc_core.spec.block import BlockSpec
from mhc_core.spec.connection import CONNECTION_KINDS, ConnectionSpec
from mhc_core.spec.edit import EditSpec
from mhc_core.spec.errors import SpecError, SpecErrors
from mhc_core.spec.input import BYTE_INPUTS, InputSpec
from mhc_core.spec.run_spec import DEFAULT_SEED, NUMERICS_VERSION, RunSpec, find_title, parse_spec
from mhc_core.spec.train import TrainSpec

__all__ = [
    "BYTE_INPUTS",
    "CONNECTION_KINDS",
    "DEFAULT_SEED",
    "FAMILIES",
    "NUMERICS_VERSION",
    "BlockSpec",
    "ConnectionSpec",
    "EditSpec",
    "InputSpec",
    "RunSpec",
    "SpecError",
    "SpecErrors",
    "TrainSpec",
    "find_title",
    "parse_spec",
]

"""Which family a model is of, told by its structure."""

from torch import nn

from mhc_core.attach.adapter import Adapter
from mhc_core.attach.families.hyper import HyperConnections
from mhc_core.attach.families.places import find_places
from mhc_core.attach.families.split import SplitConnections, find_split
from mhc_core.attach.families.stacks import build_residual, find_stacks
from mhc_core.attach.hearing.compiled import unwrap


def build_adapter(model: nn.Module) -> Adapter:
    """An adapter for the model.

    Raises
    ------
    SpecError
        Where the structure does not tell where the layers are.
    """
    model = unwrap(model)
    if split := find_split(model):
        return SplitConnections(model, split)
    if places := find_places(model):
        return HyperConnections(places, [stack.path for stack in find_stacks(model, "model")])
    return build_residual(model)

"""The probe on a model from elsewhere: its streams, mixing and gradients in one forward and one backward pass.

with attach(model) as probe:
    model(**batch).loss.backward()
result = probe.result()
"""

from collections.abc import Callable, Iterable

from torch import nn

from mhc_core.attach.adapter import Adapter
from mhc_core.attach.attachment import Attachment
from mhc_core.attach.deepseek_v4 import DeepseekV4
from mhc_core.attach.monitor import Monitor
from mhc_core.attach.residual_stack import Residual
from mhc_core.spec import SpecError

__all__ = ["ADAPTERS", "Adapter", "Attachment", "Monitor", "attach"]

# Class name of a family's connection -> its adapter. A new family is one file and one line here.
ADAPTERS: dict[str, Callable[[nn.Module], Adapter]] = {"DeepseekV4HyperConnection": DeepseekV4}


def attach(model: nn.Module, layers: Iterable[nn.Module] | None = None) -> Attachment:
    """A probe for a model; it listens while it is entered as a context.

    Parameters
    ----------
    model: one that carries Hyper-Connections of a known family, or any residual model.
    layers: of a residual model: its layers in order. Each takes the residual stream, (..., C), as its first argument
        and returns the next one, alone or first in a tuple.

    Raises
    ------
    SpecError
        Where `layers` is not given and the model has no connection of a known family.
    """
    if layers is not None:
        return Attachment(model, Residual(layers))
    present = {type(module).__name__ for module in model.modules()}
    for name, build_adapter in ADAPTERS.items():
        if name in present:
            return Attachment(model, build_adapter(model))
    raise SpecError("model", type(model).__name__, f"one that has {' or '.join(ADAPTERS)}, or its layers as a list")

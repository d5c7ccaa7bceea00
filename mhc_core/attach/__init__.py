"""The probe on a model from elsewhere: its streams, mixing and gradients in one forward and one backward pass.

with attach(model) as probe:
    model(**batch).loss.backward()
result = probe.result()
"""

from collections.abc import Iterable

from torch import nn

from mhc_core.attach.adapter import Adapter
from mhc_core.attach.attachment import Attachment
from mhc_core.attach.conformance import check
from mhc_core.attach.families.finder import build_adapter
from mhc_core.attach.families.residual import Residual

__all__ = ["Adapter", "Attachment", "attach", "check"]


def attach(model: nn.Module, layers: Iterable[nn.Module] | None = None) -> Attachment:
    """A probe for a model; it listens while it is entered as a context.

    Parameters
    ----------
    model: one that carries Hyper-Connections, or a residual model. Where its layers are is told by its structure.
    layers: of a residual model: its layers in order. Each takes the residual stream, (..., C), as its first argument
        and returns the next one, alone or first in a tuple.

    Raises
    ------
    SpecError
        Where `layers` is not given and the structure does not tell; it says what was seen and proposes `layers`.
    """
    return Attachment(model, build_adapter(model) if layers is None else Residual(layers))

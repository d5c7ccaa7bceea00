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
from mhc_core.attach.families.finder import build_candidates
from mhc_core.attach.monitor import Monitor

__all__ = ["Adapter", "Attachment", "Monitor", "attach", "check"]


def attach(model: nn.Module, layers: Iterable[nn.Module] | None = None) -> Attachment:
    """A probe for a model; it listens while it is entered as a context.

    Parameters
    ----------
    model: one with Hyper-Connections, or a residual model. Its structure says where its layers may be, and the first
        forward pass how they are joined.
    layers: of a residual model: its layers in order. Each takes the residual stream, (..., C), as its first argument
        and returns the next one, alone or first in a tuple; or it is a branch, which the code that calls it adds to the
        residual stream. A list of lists counts as one list.

    Raises
    ------
    SpecError
        Where `layers` is not given and the structure does not tell; it says what was seen and proposes `layers`.
    """
    return Attachment(model, build_candidates(model, layers))

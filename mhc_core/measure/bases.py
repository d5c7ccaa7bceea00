"""Passes without edits that were computed last, so that runs of the same stack with other edits need not repeat them.

An edited run compares its states and gradients with those of the same run without edits. A process that has just
computed that run, or the same one with other edits, still has them: the same tensors, so that results are the same to
the last bit. `mhc_core.measure.run.prepare` computes them in advance.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from mhc_core.cost.counts import count_state_bytes
from mhc_core.measure.effects import BasePass
from mhc_core.spec import RunSpec

KEPT_BYTES = 64 * 2**20  # of all passes: three of the default depth, width and streams
# A layer's state and gradient, and half as much again: its coefficients and what its branch adds.
STATES_PER_LAYER = 2.5


class Bases:
    """The passes without edits of the stacks measured last, `most_bytes` at most."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self.most_bytes = most_bytes
        self._passes: OrderedDict[str, BasePass] = OrderedDict()

    def has_room(self, spec: RunSpec, device: torch.device) -> bool:
        """Return whether the pass of a spec may be kept. Only on the CPU, whose memory is larger than a card's.

        Not over depth, where each state holds all earlier outputs.
        """
        is_kept = device.type == "cpu" and spec.family.has_mixing
        return is_kept and STATES_PER_LAYER * count_state_bytes(spec) <= self.most_bytes

    def find(self, spec: RunSpec) -> BasePass | None:
        """Return the pass of a spec without its edits, if it is kept."""
        found = self._passes.get(name_base(spec))
        if found is not None:
            self._passes.move_to_end(name_base(spec))
        return found

    def keep(self, spec: RunSpec, base: BasePass) -> None:
        """Keep the pass of a spec without its edits; forget those that were used least recently."""
        self._passes[name_base(spec)] = base
        self._passes.move_to_end(name_base(spec))
        while count_bytes(self._passes.values()) > self.most_bytes:
            self._passes.popitem(last=False)


def name_base(spec: RunSpec) -> str:
    """Return a text that identifies the run of a spec without its edits."""
    return spec.model_copy(update={"edits": ()}).id


def count_bytes(part: Any) -> int:
    """Count the memory of all tensors in lists, tuples and dataclasses; what several share counts once."""
    storages = (tensor.untyped_storage() for tensor in _list_tensors(part))
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _list_tensors(part: Any) -> Iterator[torch.Tensor]:
    """List all tensors in lists, tuples and dataclasses."""
    if isinstance(part, torch.Tensor):
        yield part
    elif is_dataclass(part):
        for field in fields(part):
            yield from _list_tensors(getattr(part, field.name))
    elif isinstance(part, Iterable):
        for inner in part:
            yield from _list_tensors(inner)

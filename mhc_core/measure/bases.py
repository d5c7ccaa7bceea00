"""A cache of passes without edits, so that runs of the same stack with other edits need not repeat them.

An edited run compares its states and gradients with those of the same run without edits, its base. A process that has
just computed the base, or the same run with other edits, still has these tensors; results are the same to the last bit.
It also has the weights, and the measurements of the forward pass up to the first edit.
`mhc_core.measure.run.prepare` computes passes in advance.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from mhc_core.cost.counts import count_state_bytes
from mhc_core.measure.effects import BasePass
from mhc_core.measure.probe import ForwardProbe
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack

# Memory for all passes: enough for three with default depth, width and streams, one with weights and measurements.
KEPT_BYTES = 72 * 2**20
# Memory per layer in sizes of a state: its state, its gradient, and half a state for coefficients and branch output.
STATES_PER_LAYER = 2.5


class Bases:
    """The passes without edits of the latest stacks, of at most `most_bytes` in total."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self.most_bytes = most_bytes
        self._passes: OrderedDict[str, BasePass] = OrderedDict()
        self._bytes: dict[str, int] = {}

    def has_room(self, spec: RunSpec, device: torch.device) -> bool:
        """Return whether the pass of a spec may be kept: only on a CPU, because GPUs have less memory, and not with
        attention over depth, where each state contains all earlier outputs.
        """
        is_kept = device.type == "cpu" and spec.family.has_mixing
        return is_kept and STATES_PER_LAYER * count_state_bytes(spec) <= self.most_bytes

    def find(self, spec: RunSpec) -> BasePass | None:
        """Return the pass of a spec without its edits, if it is kept."""
        found = self._passes.get(name_base(spec))
        if found is not None:
            self._passes.move_to_end(name_base(spec))
        return found

    def find_stack(self, spec: RunSpec) -> Stack | None:
        """Return a stack with the weights and the edits of a spec, if that of its pass is kept."""
        base = self.find(spec)
        return base.stack.with_spec(spec) if base and base.stack else None

    def keep(self, stack: Stack, base: BasePass, forward: ForwardProbe | None = None) -> None:
        """Keep the pass of a stack without its edits, and `forward`, the measurements of the forward pass.

        The stack is also kept, unless training will change its weights. If memory is short, forget in this order:
        stacks and measurements of other passes, other passes, then the stack and measurements of this one. The least
        recently used pass is first.
        """
        name = name_base(stack.spec)
        self._set(name, replace(base, stack=None if stack.spec.train.steps else stack, forward=forward))
        self._passes.move_to_end(name)
        *others, latest = self._passes
        for names in (others, [latest]):
            for forget in (self._forget_details, self._forget_pass):
                for kept in names:
                    if self.count_kept_bytes() > self.most_bytes:
                        forget(kept)

    def count_kept_bytes(self) -> int:
        """Count the memory of all passes."""
        return sum(self._bytes.values())

    def _set(self, name: str, base: BasePass) -> None:
        """Keep a pass under a name, and count its memory, with its weights and the Gram matrices of CKA."""
        weights = [*base.stack.parameters()] if base.stack else []
        grams = [base.forward.cka.grams_LPP] if base.forward and base.forward.cka else []
        self._passes[name], self._bytes[name] = base, count_bytes([base, weights, grams])

    def _forget_details(self, name: str) -> None:
        """Forget the stack of a pass, and the measurements of its forward pass."""
        base = self._passes[name]
        if base.stack or base.forward:
            self._set(name, replace(base, stack=None, forward=None))

    def _forget_pass(self, name: str) -> None:
        """Forget a pass."""
        del self._passes[name], self._bytes[name]


def name_base(spec: RunSpec) -> str:
    """Return a text that identifies the run of a spec without its edits."""
    return spec.model_copy(update={"edits": ()}).id


def count_bytes(part: Any) -> int:
    """Count the memory of all tensors in lists, tuples and dataclasses. Memory that tensors share counts once."""
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

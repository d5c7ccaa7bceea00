"""Find the attention heads of a layer: the output projection, whose input has all heads next to each other.

Attention joins the outputs of its heads, (..., H, d), to (..., H d), to which it applies a linear map. Such a join is
searched for in the operations of one pass, without using names.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mhc_core.spec import EditSpec, SpecError
from mhc_probe.adapter import Adapter
from mhc_probe.edits import HeadSite, names_head
from mhc_probe.recording.joined import JoinedPasses
from mhc_probe.recording.values import find_state

JOINS = ("reshape", "view", "flatten")
KEEPS = ("contiguous", "clone", "to", "type", "type_as")


class _Joins(TorchFunctionMode):
    """Tracks tensors (..., H d) that were reshaped from (..., H, d) within a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, tuple[torch.Tensor, int]] = {}  # id -> the tensor, kept alive, and H

    def enter(self, layer: nn.Module, args: Any) -> None:
        """Start to track joined heads when a layer is called."""
        self.found = {}
        self.__enter__()

    def leave(self, layer: nn.Module, args: Any, output: Any) -> None:
        """Stop tracking joined heads when the layer returns or raises."""
        self.__exit__(None, None, None)
        self.found = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation; if its result joins attention heads in one axis, store their number."""
        out, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "")
        source = args[0] if args else None
        if isinstance(out, torch.Tensor) and isinstance(source, torch.Tensor):
            if name in JOINS and source.ndim == out.ndim + 1 > 2 and source.shape[:-2] == out.shape[:-1]:
                self.found[id(out)] = out, source.shape[-2]
            elif name in KEEPS and id(source) in self.found:
                self.found[id(out)] = out, self.found[id(source)][1]
        return out


def find_heads(
    edits: Sequence[EditSpec], adapter: Adapter, recorded: JoinedPasses, run: Callable[[], object]
) -> dict[int, HeadSite]:
    """Return the output projections of the layers for which edits name attention heads, by layer.

    run: calls the model, without side effects on it.

    Raises
    ------
    SpecError
        If a layer has no attention whose heads can be found, or has fewer heads.
    """
    wanted = {layer for edit in edits if names_head(edit) for layer in range(edit.first, edit.last + 1)}
    if not wanted:
        return {}
    seen: dict[int, dict[nn.Module, int]] = {layer: {} for layer in wanted}
    with ExitStack() as stack:
        for layer in wanted:
            for part in adapter.find_parts(recorded.layers[layer]):
                for handle in _hook_part(part, seen[layer]):
                    stack.callback(handle.remove)
        run()
    return _choose_sites(edits, seen)


def _hook_part(part: nn.Module, seen: dict[nn.Module, int]) -> list[Any]:
    """Hook a module to store each linear map whose input has joined attention heads in `seen`, with their number."""
    joins = _Joins()
    handles = [part.register_forward_hook(joins.leave, always_call=True)]
    for module in part.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim == 2:
            handles.append(module.register_forward_pre_hook(partial(_store_heads, joins, seen)))
    return [*handles, part.register_forward_pre_hook(joins.enter)]


def _store_heads(joins: _Joins, seen: dict[nn.Module, int], module: nn.Module, args: Any) -> None:
    """Store the number of heads of a linear map before it is called, if its input has joined heads."""
    state = find_state(args, None)
    if state is not None and id(state) in joins.found:
        seen[module] = joins.found[id(state)][1]


def _choose_sites(edits: Sequence[EditSpec], seen: dict[int, dict[nn.Module, int]]) -> dict[int, HeadSite]:
    """Return by layer the module whose input has joined attention heads, with their number.

    Raises
    ------
    SpecError
        If an edit names a layer without exactly one such module, or a head that it does not have.
    """
    for place, edit in enumerate(edits):
        if not names_head(edit):
            continue
        for layer in range(edit.first, edit.last + 1):
            heads = list(seen[layer].values())
            field, name = f"edits.{place}.index", f"Edit {place + 1}: "
            if len(heads) != 1:
                found = "several modules that take" if heads else "no module that takes"
                wanted = f"nothing in layer {layer}, which has {found} the heads of attention together"
                raise SpecError(field, edit.index, wanted, f"{name}index ({edit.index}) must be {wanted}.")
            if edit.index is None or edit.index >= heads[0]:
                wanted = f"a head from 0 to {heads[0] - 1}"
                raise SpecError(field, edit.index, wanted, f"{name}index ({edit.index}) must be {wanted}.")
    return {layer: HeadSite(*next(iter(found.items()))) for layer, found in seen.items()}

"""Record models in which functions compute attention over depth, in blocks that pass on a list of sources.

A block takes and returns the list S of sources, and the sum P of outputs that is not a source yet. Each of its
branches reads all of them, (S, P), by a function as in `list_reads.py`. Then P becomes a source and the next P is the
branch's output y, or P does not become a source and the next P is P + y. The list that the block returns shows which.
The first block takes no list: its P is the embedding, the only source of the first read. Such blocks are in
flash-linear-attention, `fla/models/transformer/modeling_transformer.py` and other models with `attnres_block_size`.

The state is the weighted sum before its norm. If the function applies that norm, the model has no tensor of the state:
the state is computed from the sources, and its gradient from the gradient of the normed tensor. The inputs of branches
and the outputs of blocks confirm the result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_probe.adapter import LayerPass, LayerRecorder, LayerSite, SourceRead
from mhc_probe.edits import ModelEdits
from mhc_probe.recording.depth import DepthSource, EarlierReads, are_equal, find_place
from mhc_probe.recording.detection import find_embedded_width
from mhc_probe.recording.hyper import name_branch
from mhc_probe.recording.list_reads import ListForm, ListRead, ReadFinder
from mhc_probe.recording.pass_recorder import is_in_backward
from mhc_probe.recording.paths import CONTAINERS
from mhc_probe.recording.stacks import find_stacks
from mhc_probe.recording.values import find_like, find_state


def find_reading_blocks(model: nn.Module) -> list[nn.Module]:
    """Return layers that may read earlier outputs: those of lists in which each has a matrix of one row, a query."""
    widths = find_embedded_width(model)
    return [
        block
        for stack in find_stacks(model, "model")
        if all(_has_query(layer, widths) for layer in stack.layers)
        for block in stack.layers
    ]


def _has_query(module: nn.Module, widths: set[int]) -> bool:
    """Return whether a block has a vector that can be the query of attention over depth."""
    rows = [parameter.shape[1] for parameter in module.parameters() if parameter.ndim == 2 and len(parameter) == 1]
    return any(row in widths or not widths for row in rows)


class SourceLists(EarlierReads):
    """Adapter with one layer per branch. The state after a layer is what the next branch reads."""

    wanted = (
        "blocks that take and return a list of sources and a sum of outputs, and add what a module returns to that"
        " sum; each branch reads all of them by softmax of their products with a query"
    )

    def __init__(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__(model, blocks)
        self.blocks = list(blocks)
        inside = {parameter for block in self.blocks for parameter in block.parameters()}
        outside = [parameter for parameter in self.owner.parameters() if parameter not in inside]
        self.finders = {block: ReadFinder(block.parameters()) for block in self.blocks}
        self.finders[self.owner] = ReadFinder(outside)

    def register_hooks(self, recorder: LayerRecorder, edits: ModelEdits | None = None) -> list[Callable[[], None]]:
        """Hook the blocks, their parts and the module that calls them; return functions that remove the hooks."""
        hooks = _ListHooks(self, recorder)
        undo = [self.owner.register_forward_pre_hook(hooks.begin).remove]
        callers = dict.fromkeys([*self.blocks, self.owner])
        parts = {part: name for caller in callers for name, part in _list_called(caller)}
        for part, name in parts.items():
            if part not in callers:
                undo.append(part.register_forward_hook(partial(hooks.record_part, name), with_kwargs=True).remove)
        for block in dict.fromkeys(self.blocks):
            undo.append(block.register_forward_pre_hook(hooks.enter_block, with_kwargs=True).remove)
            undo.append(block.register_forward_hook(hooks.leave_block).remove)
        undo.append(self.owner.register_forward_hook(hooks.end).remove)
        return undo

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all blocks, and the vectors of the module that calls them."""
        own = [parameter for block in self.blocks for parameter in block.parameters()]
        return list(dict.fromkeys([*own, *self.finders[self.owner].vectors]))

    def find_inner(self) -> nn.Module:
        return self.blocks[0]

    def set_site(self, site: int, form: ListForm) -> None:
        """Store the parameters of the read after a layer. A later pass may correct them."""
        self.sites[site:] = [LayerSite("branch", form.list_mixing()), *self.sites[site + 1 :]]


# ---- a pass


def _list_called(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the parts that a module may call itself, with their names."""
    for name, child in module.named_children():
        if isinstance(child, CONTAINERS):
            yield from ((f"{type(part).__name__}.{key}", part) for key, part in _list_called(child))
        else:
            yield name, child


def _find_list(parts: Any, shape: torch.Size) -> list[torch.Tensor]:
    """Return the first list among `parts` that contains only tensors of this shape; [] if there is none."""
    for part in parts:
        if isinstance(part, list | tuple) and part and all(_is_like(x, shape) for x in part):
            return list(part)
    return []


def _is_like(value: Any, shape: torch.Size) -> bool:
    return isinstance(value, torch.Tensor) and value.shape == shape and value.is_floating_point()


def _list_items(output: Any) -> list[Any]:
    """Return the tensors or other values in the output of a module, as a list."""
    if isinstance(output, Mapping):
        return list(output.values())
    if is_dataclass(output) and not isinstance(output, type):
        return [getattr(output, one.name) for one in fields(output)]
    return list(output) if isinstance(output, tuple | list) else [output]


class _ListedCall(NamedTuple):
    """One call of a part: the tensor u that it took, the tensor that it returned (`made`), and a copy of that, y."""

    name: str
    module: nn.Module
    u: torch.Tensor
    made: torch.Tensor | None
    y: torch.Tensor | None


class _Branch(NamedTuple):
    """One read, with the calls of parts up to the next read. y is what they add to the sum of outputs."""

    read: ListRead
    sources: list[DepthSource]
    calls: Sequence[_ListedCall]
    y: torch.Tensor

    @property
    def name(self) -> str:
        """Return the kind of the part that returned y."""
        return name_branch(next(call.name for call in reversed(self.calls) if call.y is self.y))

    def list_weights(self) -> list[nn.Parameter]:
        """Return the gain of the norm that the read has applied, and the parameters of all parts that were called."""
        norm = self.read.form.norm
        called = [parameter for call in self.calls for parameter in call.module.parameters()]
        return list(dict.fromkeys([*([] if norm is None else [norm]), *called]))

    def find_inside(self, state: torch.Tensor) -> list[torch.Tensor]:
        """Return the tensor in the branch through whose graph it reads a state that other branches may read too."""
        first = self.calls[0]
        inside = first.made if first.u is state else first.u
        return [] if inside is None else [inside]


@dataclass
class _BlockCall:
    """A call of a block: P and S that it takes, the calls of its parts, and P and S that it returns."""

    block: nn.Module
    entered: torch.Tensor
    listed: list[torch.Tensor]
    calls: list[_ListedCall] = field(default_factory=list)
    returned: torch.Tensor | None = None
    returned_list: list[torch.Tensor] = field(default_factory=list)

    def list_ends(self) -> list[torch.Tensor]:
        """Return the tensors from which the block's sources are computed, with their graph."""
        return [self.entered, *self.listed, *(call.made for call in self.calls if call.made is not None)]


class _Lists(NamedTuple):
    """The sources S between two branches, and the sum P of outputs that is not a source yet (`partial`)."""

    sources: list[DepthSource]
    partial: DepthSource

    def list_all(self) -> list[DepthSource]:
        return [*self.sources, self.partial]


class _ListHooks:
    """Hooks of one attachment on blocks and their parts."""

    def __init__(self, adapter: SourceLists, recorder: LayerRecorder) -> None:
        self.adapter, self.recorder = adapter, recorder
        self._reset_pass()

    def _reset_pass(self) -> None:
        """Forget the sources and layers of the previous pass."""
        self._lists: _Lists | None = None  # S and P that the latest block has returned
        self._block: _BlockCall | None = None  # the running block, or the latest
        self._later: list[_ListedCall] = []  # calls of parts since the latest block has returned
        self._branch: _Branch | None = None  # branch of the open layer
        self._state = torch.empty(0)  # state that entered the open layer
        self._site = 0

    def begin(self, module: nn.Module, args: Any) -> None:
        """Drop the previous pass when the model is called, except in a recomputation."""
        if not is_in_backward():
            self._reset_pass()
            self.adapter.mismatch = None

    @torch.no_grad()
    def end(self, module: nn.Module, args: Any, output: Any) -> None:
        """Find the last read, that of the read-out, when the model returns, and release the model's tensors."""
        if is_in_backward() or self.adapter.mismatch is not None or self._branch is None:
            return
        assert self._lists is not None, "a block has returned"
        assert self._block is not None, "a block has returned"
        returned = find_like(output, self._lists.partial.values.shape)
        found = [*(call.u for call in self._later), *([] if returned is None else [returned])]
        ends = [*self._block.returned_list, *([] if self._block.returned is None else [self._block.returned])]
        given, finder = self._lists.list_all(), self.adapter.finders[self.adapter.owner]
        reads = (finder.find(0, u, given, ends, is_known=is_known) for is_known in (True, False) for u in found)
        read = next((read for read in reads if read is not None), None)
        if read is None:
            self._refuse(module, "whose read-out takes no weighted sum of all sources")
            return
        self._leave_layer(self._branch, read, given)
        self.adapter.finish(self._site + 1)
        self._reset_pass()

    def _refuse(self, module: nn.Module, why: str) -> None:
        self.adapter.mismatch = f"{self.adapter.describe(module)}, {why}"

    # ---- blocks

    def enter_block(self, block: nn.Module, args: Any, kwargs: Any) -> None:
        """Store the tensors P and S with which a block is called."""
        if is_in_backward() or self.adapter.mismatch is not None:
            return
        state = find_state(args, kwargs)
        self._block, self._later = None, []
        if state is not None:
            self._block = _BlockCall(block, state, _find_list([*args, *kwargs.values()], state.shape))

    def record_part(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """Store a call of a part of the running block, or a call after the latest block."""
        if self._block is None or is_in_backward():
            return
        shape = self._block.entered.shape
        u, made = find_like((args, kwargs), shape), find_like(output, shape)
        if u is not None:
            y = None if made is None else made.detach().clone()  # the block may change it
            calls = self._block.calls if self._block.returned is None else self._later
            calls.append(_ListedCall(name, module, u, made, y))

    @torch.no_grad()
    def leave_block(self, block: nn.Module, args: Any, output: Any) -> None:
        """Find the reads of a block from what it took and returned, and record its layers."""
        call = self._block
        if is_in_backward() or call is None or call.block is not block:
            return
        call.returned = find_state(output, None)
        call.returned_list = _find_list(_list_items(output), call.entered.shape)
        if self._lists is None and call.returned_list:
            listed = [DepthSource(x.detach().clone(), frozenset()) for x in call.listed]
            self._lists = _Lists(listed, DepthSource(call.entered.detach().clone(), frozenset({0})))
        if self._lists is None:
            return
        if not _are_same([*call.listed, call.entered], self._lists.list_all()):
            self._refuse(block, "which takes other sources than the block before has returned")
            return
        layers = 0 if self._branch is None else self._site + 1
        paths = (_Path(self.adapter.finders[block], call, layers, is_known) for is_known in (True, False))
        found = next((found for path in paths if (found := path.find(self._lists)) is not None), None)
        if found is None:
            self._refuse(block, "whose reads or sums are unknown")
            return
        for branch in found.branches:
            self._open_layer(branch)
        self._lists = found.lists

    # ---- layers

    def _open_layer(self, branch: _Branch) -> None:
        """Open the layer of a branch, and record the previous layer, which ends with the branch's read."""
        if self._branch is None:
            assert self._block is not None, "a block is running"
            self._state = self._block.entered
        else:
            self._leave_layer(self._branch, branch.read, branch.sources)
            self._state, self._site = branch.read.state, self._site + 1
        self._branch = branch

    def _leave_layer(self, branch: _Branch, read: ListRead, sources: Sequence[DepthSource]) -> None:
        """Record a layer, which ends with `read`, the read after its branch."""
        self.recorder.confirm()
        self.adapter.set_site(self._site, read.form)
        places = tuple(find_place(sources, output) for output in range(self._site + 2))
        written = LayerPass(
            after=read.state,
            y=branch.y,
            h_pre=None,
            h_post=None,
            h_res=(),
            name=branch.name,
            weights=branch.list_weights(),
            read=SourceRead(read.attention_NK1, read.attention_NK1, places, tensors=1),
            parts=(read.u,) if read.form.is_normed else (),
            to_state_grad=read.build_pull_back(),
        )
        if self.recorder.enter(self._site, self._state):
            if self._site == 0:
                self.recorder.read_inside(0, self._state, branch.find_inside(self._state))
            self.recorder.leave(self._site, written)


def _are_same(tensors: Sequence[torch.Tensor], sources: Sequence[DepthSource]) -> bool:
    """Return whether a list of tensors has the values of the recorded sources over depth."""
    return len(tensors) == len(sources) and all(
        are_equal(x.detach(), own.values) for x, own in zip(tensors, sources, strict=True)
    )


# ---- the branches of a block


class _Found(NamedTuple):
    """The branches of a block, and the sources that it returns."""

    branches: list[_Branch]
    lists: _Lists


class _Path:
    """Searches for branches that lead from the sources that a block takes to those that it returns.

    layers: number of branches of all previous blocks. is_known: whether to try only forms of earlier passes.
    """

    def __init__(self, finder: ReadFinder, call: _BlockCall, layers: int, is_known: bool) -> None:
        self._finder, self._call, self._layers, self._is_known = finder, call, layers, is_known
        self._ends = call.list_ends()

    def find(self, lists: _Lists) -> _Found | None:
        """Find branches from the sources that the block takes to those that it returns; None if there are none."""
        found = (self._follow(first, lists, 0) for first in range(len(self._call.calls)))
        return next((one for one in found if one is not None), None)

    def _follow(self, at: int, lists: _Lists, number: int) -> _Found | None:
        """Return the branches from the call `at`, which reads these sources, to the end; None if none fit."""
        calls, given = self._call.calls, lists.list_all()
        read = self._finder.find(number, calls[at].u, given, self._ends, is_known=self._is_known)
        if read is None:
            return None
        for end in range(at + 1, len(calls) + 1):
            y = next((call.y for call in reversed(calls[at:end]) if call.y is not None), None)
            for after in [] if y is None else self._list_next(lists, y, number):
                found = self._end(after) if end == len(calls) else self._follow(end, after, number + 1)
                if found is not None and y is not None:
                    return found._replace(branches=[_Branch(read, given, calls[at:end], y), *found.branches])
        return None

    def _list_next(self, lists: _Lists, y: torch.Tensor, number: int) -> list[_Lists]:
        """Return the possible sources after a branch with output y: P grows, or P becomes a source and y the next P.

        The second is possible only if the list that the block returns contains P. If P equals the tensor that entered
        the block, the returned object shows which of the two it is.
        """
        outputs, sources = frozenset({self._layers + number + 1}), lists.list_all()
        summed = DepthSource(lists.partial.values + y.to(lists.partial.values.device), lists.partial.outputs | outputs)
        found = [_Lists(lists.sources, summed)]
        if len(sources) <= len(self._call.returned_list):
            returned = self._call.returned_list[len(sources) - 1]
            is_entered = number > 0 and returned is self._call.entered  # which is P only before the first branch
            if are_equal(returned.detach(), lists.partial.values) and not is_entered:
                found.append(_Lists(sources, DepthSource(y, outputs)))
        return found

    def _end(self, lists: _Lists) -> _Found | None:
        """Return the end of a path with these sources, if they are what the block returns; else None."""
        returned = self._call.returned
        own = [*self._call.returned_list, *([] if returned is None else [returned])]
        return _Found([], lists) if _are_same(own, lists.list_all()) else None

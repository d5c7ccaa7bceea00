"""Adapt attention over depth by functions, in blocks that pass on a list of sources.

A block takes and returns the list S of sources, and the sum P of outputs that is not a source yet. Each of its
branches reads all of them, s = (S, P), by a function, which may end with the norm of the branch:

    h = sum_i a_i s_i,  a = softmax_i(c (g q) . s_i / rms(s_i)),  u = h  or  u = w h / rms(h)

q is a matrix of one row; c is 1, or one over the square root of the width. P then becomes a source or not: with the
branch's output y the next P is y, or P + y. The list that the block returns shows which. The first block has no list:
its P is the embedding, which the first branch reads alone. Formulas as in the code of flash-linear-attention,
`fla/ops/attnres/naive.py`, and blocks as in its `fla/models/transformer/modeling_transformer.py`.

The state is h, which a function with a norm does not return: it is computed from the sources, and its gradient from
that at u. Both u and what the blocks return confirm the reading.

Shapes: N samples, C width, K sources.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_core.connections.depth import KEY_EPS
from mhc_core.spec import SpecError
from mhc_probe.adapter import Adapter, LayerPass, LayerRecorder, LayerSite, SourceRead
from mhc_probe.edits import ModelEdits
from mhc_probe.families.depth import Source, are_equal, find_owner, find_place, to_wide_dtype, weigh
from mhc_probe.families.detection import find_embedded_width
from mhc_probe.families.hyper import find_autocast, name_branch
from mhc_probe.families.paths import CONTAINERS, name_module
from mhc_probe.families.stacks import find_stacks
from mhc_probe.families.values import find_like, find_state
from mhc_probe.laws import find_tolerance
from mhc_probe.recording.edges import list_leaves
from mhc_probe.recording.joined import JoinedPasses
from mhc_probe.recording.pass_recorder import is_in_backward

EPSILONS = (KEY_EPS, 1e-5, 1e-8, torch.finfo(torch.float32).eps)  # under the roots; the last is torch's default
ROWS = 64  # samples that decide how a function weighs its sources; all samples confirm it


def find_reading_blocks(model: nn.Module) -> list[nn.Module]:
    """Return the modules of lists in which every module has a matrix of one row, as a query is."""
    widths = find_embedded_width(model)
    return [
        block
        for stack in find_stacks(model, "model")
        if all(_has_query(layer, widths) for layer in stack.layers)
        for block in stack.layers
    ]


def _has_query(module: nn.Module, widths: set[int]) -> bool:
    rows = [parameter.shape[1] for parameter in module.parameters() if parameter.ndim == 2 and len(parameter) == 1]
    return any(row in widths or not widths for row in rows)


class ReadForm(NamedTuple):
    """How a function weighs its sources, and the norm of what is read.

    Attributes
    ----------
    query, gain: the query and the gain of the norm of keys; None if there is one source, or no gain.
    is_scaled: whether logits are over the square root of the width.
    is_normed: whether the function returns what is read after RMSNorm, with the gain `norm`; None without one.
    eps: under the roots of all norms.
    """

    query: nn.Parameter | None
    gain: nn.Parameter | None
    is_scaled: bool
    is_normed: bool
    norm: nn.Parameter | None
    eps: float

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [one for one in (self.query, self.gain, self.norm) if one is not None]


class ReadCall(NamedTuple):
    """What a branch reads: u as it takes it, h in float32 at least, and how the sources are weighed, (N, K, 1)."""

    form: ReadForm
    u: torch.Tensor
    h: torch.Tensor
    attention_NK1: torch.Tensor

    @property
    def state(self) -> torch.Tensor:
        """Return h: the model's own tensor if it has one."""
        return self.h.to(self.u.dtype) if self.form.is_normed else self.u


class SourceLists(Adapter):
    """One layer per branch. The state (..., C) is what the next branch reads; n = 1."""

    needs_confirmation = True  # a gate may be a matrix of one row too

    def __init__(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        self.model, self.blocks = model, list(blocks)
        self.sites: list[LayerSite] = []
        self.owner = find_owner(model, set(self.blocks))
        inside = {parameter for block in self.blocks for parameter in block.parameters()}
        self._vectors = {block: _list_vectors(block.parameters()) for block in self.blocks}
        outside = [parameter for parameter in self.owner.parameters() if parameter not in inside]
        self._vectors[self.owner] = _list_vectors(outside)
        self._forms: dict[tuple[nn.Module, int], ReadForm] = {}
        self._depth = 0  # of a pass that has returned
        self.mismatch: str | None = None  # why the latest pass does not fit this adapter

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
        return list(dict.fromkeys([*own, *self._vectors[self.owner]]))

    def find_inner(self) -> nn.Module:
        return self.blocks[0]

    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        return self.to_rows(state).unsqueeze(0)

    def count_layers(self) -> int:
        return self._depth

    def set_site(self, site: int, form: ReadForm) -> None:
        """Store the parameters with which the sum after a layer is read."""
        mixing = [one for one in (form.query, form.gain) if one is not None]
        self.sites[site:] = [LayerSite("branch", mixing), *self.sites[site + 1 :]]

    def finish(self, depth: int) -> None:
        """Store how many layers a complete pass has."""
        self._depth = depth

    def explain(self) -> SpecError | None:
        """Return the error of a block that reads or returns something else, if the pass has shown one."""
        if self.mismatch is None:
            return None
        wanted = (
            "blocks that take and return a list of sources and a sum of outputs, and add what a module returns to that"
            " sum; each branch reads all of them by softmax of their products with a query"
        )
        return SpecError("model", self.mismatch, wanted)

    def describe(self, module: nn.Module) -> str:
        """Return the name of a module for a message."""
        return name_module(self.model, module) or type(module).__name__

    def matches(self, recorded: JoinedPasses, autocast: torch.dtype | None) -> bool:
        return True  # every read was compared with its sources

    def propose(self, sites: Sequence[int]) -> str | None:
        return None

    # ---- one read

    def identify(
        self,
        place: tuple[nn.Module, int],
        u: torch.Tensor,
        sources: Sequence[Source],
        ends: Sequence[torch.Tensor],
        *,
        is_known: bool,
    ) -> ReadCall | None:
        """Return how a tensor was read from the sources; None if it was not.

        Parameters
        ----------
        place: the block, and the number of the read in it.
        ends: tensors of the model from which the sources are computed, or which they are.
        is_known: whether to try only the form of earlier passes.
        """
        x_KNC = torch.stack([source.values.flatten(0, -2).to(u.device) for source in sources])
        x_KNC, u_NC = x_KNC.to(to_wide_dtype(u.dtype)), u.detach().flatten(0, -2)
        tolerance = find_tolerance(u.dtype, autocast=find_autocast(u))
        usable = _list_usable(self._vectors[place[0]], u, ends)
        key = place if len(sources) > 1 else (place[0], -1)
        forms: Iterator[ReadForm]
        if is_known:
            form = self._forms.get(key)
            is_usable = form is not None and all(any(one is other for other in usable) for one in form.parameters)
            forms = iter([form] if form is not None and is_usable else [])
        else:
            forms = _list_forms(usable, len(sources))
        few = torch.linspace(0, len(u_NC) - 1, min(ROWS, len(u_NC)), device=u.device).long()
        few_KNC, few_NC = x_KNC[:, few], u_NC[few]
        is_lost = is_known and not torch.isfinite(u_NC).all()  # training may make the states infinite later
        for form in forms:
            if not is_lost and _measure_error(form, *_read(form, few_KNC)[:1], few_NC) > tolerance:
                continue
            h_NC, attention = _read(form, x_KNC)
            if is_lost or _measure_error(form, h_NC, u_NC) <= tolerance:
                self._forms[key] = form
                return ReadCall(form, u, h_NC.view(u.shape), attention)
        return None


def _list_vectors(parameters: Any) -> list[nn.Parameter]:
    """Return vectors, and matrices of one row."""
    return [one for one in parameters if one.numel() == one.shape[-1:].numel()]


def _list_usable(vectors: Sequence[nn.Parameter], u: torch.Tensor, ends: Sequence[torch.Tensor]) -> list[nn.Parameter]:
    """Return those vectors of the width of a tensor from which it may have been computed, as far as it has a graph."""
    fitting = [vector for vector in vectors if vector.shape[-1] == u.shape[-1]]
    if u.grad_fn is None:
        return fitting
    leaves = {id(leaf) for leaf in list_leaves(u, ends)}
    return [vector for vector in fitting if id(vector) in leaves or not vector.requires_grad]


def _list_forms(vectors: Sequence[nn.Parameter], sources: int) -> Iterator[ReadForm]:
    """Yield the ways in which vectors may take part in a read. Vectors that follow the query come first.

    Queries of 0 leave the other parts open, and so do gains of 1.
    """
    queries = [place for place, vector in enumerate(vectors) if vector.ndim == 2] if sources > 1 else [-1]
    for eps in EPSILONS:
        for query in queries:
            others = [place for place in range(len(vectors)) if place != query]
            nearest = sorted(others, key=lambda place: (abs(place - query), place < query))  # noqa: B023
            for gain in (*nearest, None) if sources > 1 else (None,):
                rest = [vectors[place] for place in others if place != gain]
                norms = [(True, vector) for vector in rest] + [(True, None), (False, None)]
                for is_scaled in (False, True) if sources > 1 else (False,):
                    for is_normed, norm in norms:
                        yield ReadForm(
                            vectors[query] if sources > 1 else None,
                            None if gain is None else vectors[gain],
                            is_scaled,
                            is_normed,
                            norm,
                            eps,
                        )


def _read(form: ReadForm, x_KNC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what is read, (N, C), before its norm, and the attention over depth, (N, K, 1)."""
    if form.query is None:
        return x_KNC[0], torch.ones_like(x_KNC[:, :, :1]).transpose(0, 1)
    query_C = form.query.detach().to(x_KNC).flatten()
    query_C = query_C if form.gain is None else query_C * form.gain.detach().to(query_C).flatten()
    inverse_KN = torch.rsqrt(x_KNC.square().mean(-1) + form.eps)
    attention, values = weigh(query_C.unsqueeze(0), x_KNC, inverse_KN, form.is_scaled, is_normed=False)
    return torch.einsum("nkh,knc->nc", values, x_KNC), attention


def _measure_error(form: ReadForm, h_NC: torch.Tensor, u_NC: torch.Tensor) -> float:
    """Return the relative distance of what is read, after its norm, from what a branch takes; inf if it is unknown."""
    made = h_NC * _invert_size(h_NC, form.eps) if form.is_normed else h_NC
    made = made if form.norm is None else made * form.norm.detach().to(made).flatten()
    error = float((made - u_NC).norm() / u_NC.to(made.dtype).norm())
    return error if math.isfinite(error) else math.inf


def _invert_size(h: torch.Tensor, eps: float) -> torch.Tensor:
    return torch.rsqrt(h.square().mean(-1, keepdim=True) + eps)


@torch.no_grad()
def _pull_back(h: torch.Tensor, eps: float, gain: torch.Tensor | None, grad: torch.Tensor) -> torch.Tensor:
    """Return the gradient at h of that at its RMSNorm: (g - z mean(z g)) / rms(h), z = h / rms(h), g with the gain."""
    g = grad.to(h.dtype)
    g = g if gain is None else g * gain.to(g).flatten()
    inverse = _invert_size(h, eps)
    z = h * inverse
    return (g - z * (z * g).mean(-1, keepdim=True)) * inverse


# ---- a pass


def _list_called(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the parts that a module may call itself, with their names."""
    for name, child in module.named_children():
        if isinstance(child, CONTAINERS):
            yield from ((f"{type(part).__name__}.{key}", part) for key, part in _list_called(child))
        else:
            yield name, child


def _find_list(parts: Any, shape: torch.Size) -> list[torch.Tensor] | None:
    """Return the first list among the parts of arguments or an output that has tensors of that shape alone."""
    for part in parts:
        if isinstance(part, list | tuple) and part:
            if all(isinstance(x, torch.Tensor) and x.shape == shape and x.is_floating_point() for x in part):
                return list(part)
    return None


def _list_output(output: Any) -> list[Any]:
    """Return the parts of an output."""
    if isinstance(output, Mapping):
        return list(output.values())
    if is_dataclass(output) and not isinstance(output, type):
        return [getattr(output, one.name) for one in fields(output)]
    return list(output) if isinstance(output, tuple | list) else [output]


class _PartCall(NamedTuple):
    """One call of a part: the tensor like the state that it took and, copied, the one that it returned.

    made: the tensor that it returned, with its graph.
    """

    name: str
    module: nn.Module
    u: torch.Tensor
    y: torch.Tensor | None
    made: torch.Tensor | None


class _Branch(NamedTuple):
    """One read with the calls that follow it, up to the next read; y is what they add."""

    call: ReadCall
    sources: list[Source]
    calls: Sequence[_PartCall]
    y: torch.Tensor
    first: int  # the call that reads, among all calls of the block


@dataclass
class _OpenBlock:
    """A block that is running: what entered it, and the calls of its parts."""

    block: nn.Module
    partial: torch.Tensor
    listed: list[torch.Tensor]
    calls: list[_PartCall] = field(default_factory=list)

    @property
    def ends(self) -> list[torch.Tensor]:
        """Return the tensors of the model from which its sources are computed."""
        return [self.partial, *self.listed, *(call.made for call in self.calls if call.made is not None)]


@dataclass
class _OpenLayer:
    """A layer whose next read is not known yet: the state that entered it, and its branch."""

    state: torch.Tensor
    branch: _Branch


class _ListHooks:
    """Hooks of one attachment."""

    def __init__(self, adapter: SourceLists, recorder: LayerRecorder) -> None:
        self.adapter, self.recorder = adapter, recorder
        self._reset_pass()

    def _reset_pass(self) -> None:
        """Forget the sources and layers of the pass before."""
        self._partial: Source | None = None
        self._sources: list[Source] = []
        self._block: _OpenBlock | None = None
        self._layer: _OpenLayer | None = None
        self._site = -1  # the layer that is open
        self._later: list[_PartCall] = []  # calls after the latest block
        # For a recomputation: of each block the calls that read, with their layers and the map of the gradient.
        self._reads: dict[nn.Module, list[tuple[int, int, LayerPass]]] = {}
        self._again: list[torch.Tensor] | None = None

    def begin(self, module: nn.Module, args: Any) -> None:
        """Drop the previous pass when the model is called, except in a recomputation."""
        if not is_in_backward():
            self._reset_pass()
            self.adapter.mismatch = None

    @torch.no_grad()
    def end(self, module: nn.Module, args: Any, output: Any) -> None:
        """Find the read of the read-out when the model returns, and release the model's tensors."""
        if is_in_backward() or self.adapter.mismatch is not None or self._layer is None:
            return
        assert self._partial is not None, "a block has returned"
        given, shape = [*self._sources, self._partial], self._partial.values.shape
        returned = find_like(output, shape)
        found = [call.u for call in self._later] + ([] if returned is None else [returned])
        ends = [self._last_returned, *self._last_listed]
        for is_known in (True, False):
            for u in found:
                call = self.adapter.identify((self.adapter.owner, 0), u, given, ends, is_known=is_known)
                if call is not None:
                    self._leave_layer(call, given)
                    self.adapter.finish(self._site + 1)
                    reads = self._reads
                    self._reset_pass()  # keep no tensors of the model
                    self._reads = reads
                    return
        self.adapter.mismatch = f"{self.adapter.describe(module)} whose read-out takes no weighted sum of all sources"

    # ---- blocks

    def enter_block(self, block: nn.Module, args: Any, kwargs: Any) -> None:
        """Store what enters a block."""
        if is_in_backward():
            self._again = []
            return
        state = find_state(args, kwargs)
        self._block, self._later = None, []
        if state is not None and self.adapter.mismatch is None:
            listed = _find_list([*args, *kwargs.values()], state.shape) or []
            self._block = _OpenBlock(block, state, listed)

    def record_part(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """Record a call of a part: of the block that is running, or after all blocks."""
        shape = None if self._partial is None else self._partial.values.shape
        if self._block is not None:
            shape = self._block.partial.shape
        u = find_state(args, kwargs) if shape is None else find_like((args, kwargs), shape)
        if u is None:
            return
        if is_in_backward():
            if self._again is not None:
                self._again.append(u)
            return
        y = find_like(output, u.shape)
        call = _PartCall(name, module, u, None if y is None else y.detach().clone(), y)
        if self._block is not None:
            self._block.calls.append(call)
        elif self._layer is not None:
            self._later.append(call)

    def leave_block(self, block: nn.Module, args: Any, output: Any) -> None:
        """Identify the reads of a block from what it took and returned, and record its layers."""
        if is_in_backward():
            self._read_again(block)
            return
        opened, self._block = self._block, None
        if opened is None or opened.block is not block:
            return
        returned = find_state(output, None)
        listed = None if returned is None else _find_list(_list_output(output), opened.partial.shape)
        if returned is None or listed is None:
            if self._layer is not None:
                self.adapter.mismatch = f"{self.adapter.describe(block)}, which returns no list of sources"
            return
        with torch.no_grad():
            self._explain(opened, returned, listed)

    def _explain(self, opened: _OpenBlock, returned: torch.Tensor, listed: list[torch.Tensor]) -> None:
        """Find the branches that make of what entered a block what it returned, and record them."""
        if self._partial is None:
            self._partial = Source(opened.partial.detach().clone(), frozenset({0}))
            self._sources = [Source(x.detach().clone(), frozenset()) for x in opened.listed]
        given = [*opened.listed, opened.partial]
        if (
            not all(
                are_equal(x.detach(), own.values)
                for x, own in zip(given, [*self._sources, self._partial], strict=False)
            )
            or len(given) != len(self._sources) + 1
        ):
            self.adapter.mismatch = f"{self.adapter.describe(opened.block)}, which takes other sources"
            return
        for is_known in (True, False):
            path = _Path(self.adapter, opened, returned, listed, self._partial, is_known)
            found = path.find(self._sources, self._count_layers())
            if found is not None:
                self._record(opened, found.branches)
                self._sources, self._partial = found.sources, found.partial
                self._last_returned, self._last_listed = returned, listed
                return
        if self._layer is not None:
            self.adapter.mismatch = f"{self.adapter.describe(opened.block)} with reads or sums that are unknown"

    def _count_layers(self) -> int:
        return self._site + 1

    # ---- layers

    def _record(self, opened: _OpenBlock, branches: Sequence[_Branch]) -> None:
        """Record the layers that end with a read of this block; the last branch stays open."""
        for branch in branches:
            if self._layer is None:
                state = opened.partial
                self._layer, self._site = _OpenLayer(state, branch), 0
                continue
            self._leave_layer(branch.call, branch.sources, (opened.block, branch.first))
            self._layer = _OpenLayer(self._state, branch)
            self._site += 1

    def _leave_layer(
        self, call: ReadCall, sources: Sequence[Source], place: tuple[nn.Module, int] | None = None
    ) -> None:
        """Record a layer from the read before its branch to the read after it."""
        assert self._layer is not None, "a layer is open"
        self.recorder.confirm()
        self.adapter.set_site(self._site, call.form)
        layer, form, self._state = self._layer, call.form, call.state
        branch, site = layer.branch, self._site
        gain = None if form.norm is None else form.norm.detach().clone()
        own = branch.call.form.norm
        weights = [*([] if own is None else [own]), *(p for one in branch.calls for p in one.module.parameters())]
        written = LayerPass(
            after=self._state,
            y=branch.y,
            h_pre=None,
            h_post=None,
            h_res=(),
            name=name_branch(branch.calls[-1].name),
            weights=list(dict.fromkeys(weights)),
            read=SourceRead(
                call.attention_NK1,
                call.attention_NK1,
                tuple(find_place(sources, output) for output in range(site + 2)),
                tensors=1,
            ),
            parts=(call.u,) if form.is_normed else (),
            to_state_grad=partial(_pull_back, call.h, form.eps, gain) if form.is_normed else None,
        )
        if place is not None:
            again = written._replace(y=None, weights=[], read=None, parts=())
            self._reads.setdefault(place[0], []).append((place[1], site, again))
        if self.recorder.enter(site, layer.state):
            if site == 0:
                first = branch.calls[0]
                inside = first.made if first.u is layer.state else first.u
                self.recorder.read_inside(site, layer.state, [] if inside is None else [inside])
            self.recorder.leave(site, written)

    def _read_again(self, block: nn.Module) -> None:
        """Record the gradients of the reads of a recomputed block."""
        taken, self._again = self._again or [], None
        for place, site, written in self._reads.get(block, []):
            if place < len(taken) and self.recorder.enter(site, taken[place]):
                self.recorder.leave(site, written._replace(after=taken[place], parts=(taken[place],)))


class _Found(NamedTuple):
    """The branches of a block, and the sources and the sum that it returns."""

    branches: list[_Branch]
    sources: list[Source]
    partial: Source


@dataclass
class _Path:
    """The search for the branches of one block."""

    adapter: SourceLists
    opened: _OpenBlock
    returned: torch.Tensor
    listed: list[torch.Tensor]
    entered: Source
    is_known: bool

    def find(self, sources: list[Source], layers: int) -> _Found | None:
        """Return the branches from what entered the block to what it returned; None if there is no such path.

        layers: how many branches the blocks before had.
        """
        for first in range(len(self.opened.calls)):
            found = self._follow(first, sources, self.entered, 0, layers)
            if found is not None:
                return found
        return None

    def _follow(self, at: int, sources: list[Source], partial: Source, read: int, layers: int) -> _Found | None:
        """Return the branches from a call that reads these sources on."""
        calls, given = self.opened.calls, [*sources, partial]
        place = (self.opened.block, read)
        call = self.adapter.identify(place, calls[at].u, given, self.opened.ends, is_known=self.is_known)
        if call is None:
            return None
        number = layers + read + 1
        for end in range(at + 1, len(calls) + 1):
            y = next((one.y for one in reversed(calls[at:end]) if one.y is not None), None)
            if y is None or y.shape != partial.values.shape:
                continue
            branch = _Branch(call, given, calls[at:end], y, at)
            added = Source(partial.values + y.to(partial.values.device), partial.outputs | {number})
            for after, rest in ((sources, added), (given, Source(y, frozenset({number})))):
                if not self._are_returned(after):
                    continue
                if end == len(calls):
                    if len(after) == len(self.listed) and are_equal(self.returned.detach(), rest.values):
                        return _Found([branch], after, rest)
                elif found := self._follow(end, after, rest, read + 1, layers):
                    return found._replace(branches=[branch, *found.branches])
        return None

    def _are_returned(self, sources: Sequence[Source]) -> bool:
        """Return whether the block returns these sources first. What entered it is told from an equal sum by identity."""
        if len(sources) > len(self.listed):
            return False
        return all(
            are_equal(x.detach(), own.values) and (x is not self.opened.partial or own is self.entered)
            for x, own in zip(self.listed, sources, strict=False)
        )

"""Record models with attention over depth, in which modules return a weighted sum of the embedding and earlier outputs.

Such a module, a read, takes K sources, stacked on one axis or separately, and returns for each of its queries

    h = sum_i a_i v_i,  a = softmax_i(c q . s_i / rms(s_i))

v_i is s_i, or s_i / rms(s_i); c is 1, or one over the square root of the width. The formulas are those of the code that
`mhc_core/families/attnres.py` names. They are confirmed by comparison with the output of each read.

A layer ends where the next read begins, so that a model with R reads has R layers; the last read belongs to the
read-out. The output of a layer is found from the sources of the next read: it is the new source, or the change of the
last source. If a layer has several reads, such as for query, key and value of attention, the state is their mean, and
its gradient is the sum of theirs. A module, such as a gate, may combine the read with another tensor before the layer:
the state is then its output, and the weights are unknown.

Shapes: N samples, C width, K sources, H queries.
"""

import inspect
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

from mhc_core.layers.depth import KEY_EPS
from mhc_core.spec import SpecError
from mhc_probe.adapter import Adapter, LayerPass, LayerRecorder, LayerSite, SourceRead
from mhc_probe.edits import ModelEdits
from mhc_probe.laws import find_tolerance
from mhc_probe.recording.detection import find_embedded_width
from mhc_probe.recording.hyper import find_autocast, name_branch
from mhc_probe.recording.joined import JoinedPasses
from mhc_probe.recording.pass_recorder import is_in_backward
from mhc_probe.recording.paths import CONTAINERS, name_module
from mhc_probe.recording.values import find_like, find_state, list_tensors

MAX_QUERIES = 8


def find_reads(model: nn.Module) -> list[nn.Module]:
    """Return the modules that may be reads over depth, in the model's order. Classes that occur once are left out."""
    widths = find_embedded_width(model)
    takes: dict[type, bool] = {}  # by class, because instances of a class are alike
    found = []
    for module in model.modules():
        if not has_queries_alone(module, widths):
            continue
        kind = type(module)
        if kind not in takes:
            takes[kind] = _count_inputs(module) > 1 or any(True for _ in module.children()) or _reduces(module)
        found += [module] if takes[kind] else []
    counts = Counter(type(module) for module in found)
    return [module for module in found if counts[type(module)] > 1]


def has_queries_alone(module: nn.Module, widths: set[int]) -> bool:
    """Return whether all weights of a module are a few rows of one width, as queries and gains are.

    widths: allowed widths; any width if empty.
    """
    if isinstance(module, (nn.Sequential, *CONTAINERS)) or type(module).__module__.startswith("torch.nn"):
        return False
    shapes = [parameter.shape for parameter in module.parameters()]
    if not shapes or any(not 1 <= len(shape) <= 2 for shape in shapes) or len({shape[-1] for shape in shapes}) > 1:
        return False
    if widths and shapes[0][-1] not in widths:
        return False
    return sum(shape[0] if len(shape) == 2 else 1 for shape in shapes) <= MAX_QUERIES


@torch.no_grad()
def _reduces(module: nn.Module) -> bool:
    """Return whether a copy of a module reduces two tensors, in a list or stacked, to one, as reads do."""
    copied = deepcopy(module)
    parameter = next(copied.parameters())
    source = torch.ones(1, 3, parameter.shape[-1], dtype=parameter.dtype, device=parameter.device)
    for given in ([source, source], torch.stack([source, source]), torch.stack([source, source], -2)):
        try:
            made = _list_floats(copied(given))
        except Exception:  # a module that takes something else may raise anything
            continue
        if made and all(x.shape == source.shape for x in made):
            return True
    return False


def _count_inputs(module: nn.Module) -> int:
    """Return the number of arguments that `forward` requires."""
    given = inspect.signature(module.forward).parameters.values()
    return sum(part.default is part.empty and part.kind is part.POSITIONAL_OR_KEYWORD for part in given)


class ReadForm(NamedTuple):
    """The variant of attention over depth that a class of modules computes.

    Attributes
    ----------
    query, gain: indices of the queries, and of the gain of the keys' norm, among the module's parameters; gain is -1 if
        there is none.
    is_scaled: whether logits are divided by the square root of the width.
    is_normed: whether the normed sources are summed, instead of the sources.
    """

    query: int
    gain: int
    is_scaled: bool
    is_normed: bool


class ReadCall(NamedTuple):
    """One call of a read: the results for each query, (..., C) each, its sources, attention and coefficients."""

    returned: list[torch.Tensor]
    sources: list[torch.Tensor]
    attention_NKH: torch.Tensor
    values_NKH: torch.Tensor


class EarlierReads(Adapter):
    """Base of adapters for models that read earlier outputs. The state (..., C) is the result of a read; n = 1.

    Attributes
    ----------
    wanted: description of the models that the adapter supports, for error messages.
    owner: the innermost module that contains all reads.
    mismatch: why the latest pass does not fit this adapter, or None.
    """

    needs_confirmation = True  # another module may look like a read by chance
    wanted: ClassVar[str]

    def __init__(self, model: nn.Module, modules: Sequence[nn.Module]) -> None:
        self.model, self.owner = model, find_owner(model, set(modules))
        self.sites: list[LayerSite] = []
        self._depth = 0  # number of layers of the latest complete pass
        self.mismatch: str | None = None

    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        return self.to_rows(state).unsqueeze(0)

    def count_layers(self) -> int:
        return self._depth

    def finish(self, depth: int) -> None:
        """Store the number of layers of a complete pass."""
        self._depth = depth

    def explain(self) -> SpecError | None:
        """Return the error for a model that does not fit this adapter; None if the latest pass fits."""
        return None if self.mismatch is None else SpecError("model", self.mismatch, self.wanted)

    def describe(self, module: nn.Module) -> str:
        """Return the name of a module for a message."""
        return name_module(self.model, module) or type(module).__name__

    def matches(self, recorded: JoinedPasses, autocast: torch.dtype | None) -> bool:
        return True  # every read was compared with its sources

    def propose(self, sites: Sequence[int]) -> str | None:
        return None


class DepthReading(EarlierReads):
    """Adapter for models in which each read is the call of a module. One layer per read."""

    wanted = "reads whose sources are the embedding and the outputs of layers, or sums of outputs of layers in a row"

    def __init__(self, model: nn.Module, reads: Sequence[nn.Module]) -> None:
        super().__init__(model, reads)
        self.reads = list(reads)
        self.blocks = _find_blocks(model, self.reads)
        self._forms: dict[type, ReadForm] = {}

    def register_hooks(self, recorder: LayerRecorder, edits: ModelEdits | None = None) -> list[Callable[[], None]]:
        """Hook reads, blocks and their parts; return functions that remove the hooks."""
        hooks = _DepthHooks(self, recorder)
        undo = [self.owner.register_forward_pre_hook(hooks.begin).remove]
        for module in self.reads:
            undo.append(module.register_forward_hook(hooks.read, with_kwargs=True).remove)
        for block, parts in self.blocks.items():
            if block is not self.owner:
                undo.append(block.register_forward_pre_hook(hooks.enter_block, with_kwargs=True).remove)
                undo.append(block.register_forward_hook(hooks.leave_block).remove)
            for name, part in parts.items():
                record = partial(hooks.record_part, name)
                undo.append(part.register_forward_hook(record, with_kwargs=True).remove)
        undo.append(self.owner.register_forward_hook(hooks.end).remove)
        return undo

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all reads and of the parts of blocks, without repetition."""
        parts = [*self.reads, *(part for parts in self.blocks.values() for part in parts.values())]
        return list(dict.fromkeys(parameter for part in parts for parameter in part.parameters()))

    def find_inner(self) -> nn.Module:
        return self.reads[-1]

    def add_site(self, site: int, module: nn.Module) -> None:
        """Store the layer that ends with a read, unless an earlier pass has stored it."""
        if site == len(self.sites):
            self.sites.append(LayerSite("branch", list(module.parameters())))

    @property
    def kinds(self) -> Collection[type]:
        """Return the classes that have been identified as reads of earlier outputs."""
        return self._forms.keys()

    @torch.no_grad()
    def identify(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> ReadCall | None:
        """Return the sources and weights of a call; None if its output is not an attention over its inputs."""
        outputs = _list_floats(output)
        if not outputs or any(x.shape != outputs[0].shape for x in outputs):
            return None
        tolerance = find_tolerance(outputs[0].dtype, autocast=find_autocast(outputs[0]))
        returned_HNC = torch.stack([x.detach().flatten(0, -2) for x in outputs])
        for sources in _list_sources(outputs[0].shape, (args, kwargs)):
            x_KNC = torch.stack([x.detach().flatten(0, -2) for x in sources]).to(to_wide_dtype(outputs[0].dtype))
            inverse_KN = torch.rsqrt(x_KNC.square().mean(-1) + KEY_EPS)
            for form in self._list_forms(module, len(outputs)):
                query_HC = _get_query(module, form, x_KNC)
                attention, values = weigh(query_HC, x_KNC, inverse_KN, form.is_scaled, form.is_normed)
                made = torch.einsum("nkh,knc->hnc", values, x_KNC)
                size = float(returned_HNC.norm())
                # Keep the first decision: training may make the states infinite later.
                is_lost = type(module) in self._forms and not math.isfinite(size)
                if is_lost or float((made - returned_HNC).norm()) <= tolerance * size:
                    self._forms[type(module)] = form
                    return ReadCall(outputs, sources, attention, values)
        return None

    def _list_forms(self, module: nn.Module, queries: int) -> Iterator[ReadForm]:
        """Yield the possible forms of a module; only the known one if a module of its class has been identified."""
        if type(module) in self._forms:
            yield self._forms[type(module)]
            return
        parameters = list(module.parameters())
        for query, parameter in enumerate(parameters):
            if parameter.numel() != queries * parameter.shape[-1]:
                continue
            gains = [place for place, other in enumerate(parameters) if place != query and other.ndim == 1]
            for gain in (*gains, -1):
                for is_scaled, is_normed in ((True, True), (False, False), (True, False), (False, True)):
                    yield ReadForm(query, gain, is_scaled, is_normed)


def _get_query(module: nn.Module, form: ReadForm, like: torch.Tensor) -> torch.Tensor:
    """Return the queries of a read, (H, C), multiplied by the gain of the keys' norm."""
    parameters = list(module.parameters())
    query_HC = parameters[form.query].detach().to(like.device, like.dtype).view(-1, like.shape[-1])
    return query_HC * parameters[form.gain].detach().to(query_HC) if form.gain >= 0 else query_HC


def weigh(
    query_HC: torch.Tensor, x_KNC: torch.Tensor, inverse_KN: torch.Tensor, is_scaled: bool, is_normed: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the attention over depth and the coefficients of the sources, (N, K, H) each.

    inverse_KN: 1 / rms of the sources. `is_scaled` and `is_normed` are as in `ReadForm`.
    """
    scale = x_KNC.shape[-1] ** -0.5 if is_scaled else 1.0
    logits = torch.einsum("knc,hc->nkh", x_KNC, query_HC) * scale * inverse_KN.T.unsqueeze(-1)
    attention = torch.softmax(logits, 1)
    return attention, attention * inverse_KN.T.unsqueeze(-1) if is_normed else attention


def _list_sources(shape: torch.Size, inputs: Any) -> Iterator[list[torch.Tensor]]:
    """Yield the ways to interpret the inputs as two or more sources of a shape, one for each axis of stacking."""
    tensors = _list_floats(inputs)
    stacks = [x for x in tensors if x.ndim == len(shape) + 1]
    for axis in dict.fromkeys((len(shape) - 1, *range(len(shape) - 1))) if stacks else (0,):
        if any(x.shape[:axis] + x.shape[axis + 1 :] != shape for x in stacks):
            continue
        found = [part for x in tensors for part in (x.unbind(axis) if x.ndim > len(shape) else (x,))]
        if len(found) > 1 and all(part.shape == shape for part in found):
            yield found


def _list_floats(value: Any) -> list[torch.Tensor]:
    return [x for x in list_tensors(value) if x.is_floating_point()]


def to_wide_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def find_owner(model: nn.Module, reads: set[nn.Module]) -> nn.Module:
    """Return the innermost module that contains all reads and has a forward pass, which lists of modules do not."""
    owner, module = model, model
    while True:
        inner = next((child for child in module.children() if reads <= set(child.modules())), None)
        if inner is None:
            return owner
        module = inner
        owner = owner if isinstance(inner, CONTAINERS) else inner


def _find_blocks(model: nn.Module, reads: Sequence[nn.Module]) -> dict[nn.Module, dict[str, nn.Module]]:
    """Return the modules that call reads, each with all of its parts by name."""
    owners: dict[nn.Module, nn.Module] = {}
    parts: dict[nn.Module, dict[str, nn.Module]] = {}

    def add_parts(module: nn.Module, owner: nn.Module) -> None:
        """Add the parts of a module to those of its owner, and the parts of these."""
        for name, child in module.named_children():
            owners[child] = owner
            if not isinstance(child, CONTAINERS):
                parts.setdefault(owner, {})[f"{type(child).__name__}.{name}" if name.isdigit() else name] = child
            add_parts(child, owner if isinstance(child, CONTAINERS) else child)

    add_parts(model, model)
    return {block: parts[block] for block in dict.fromkeys(owners[read] for read in reads)}


class DepthSource(NamedTuple):
    """One source: its values, and the numbers of the outputs whose sum it is. Output 0 is the embedding."""

    values: torch.Tensor
    outputs: frozenset[int]


class _PartCall(NamedTuple):
    """One call of a part of a block."""

    name: str
    module: nn.Module
    given: list[torch.Tensor]
    output: Any


@dataclass
class _ReadLayer:
    """A layer, from its read to the next: the state that enters it, and the parts that were called.

    tensors: the tensors of the model whose mean is the state.
    """

    state: torch.Tensor
    calls: list[_PartCall] = field(default_factory=list)
    tensors: tuple[torch.Tensor, ...] = ()

    def drop(self, kinds: Collection[type]) -> None:
        """Remove the calls of parts that are, or contain, modules of these classes."""
        self.calls = [call for call in self.calls if not any(type(part) in kinds for part in call.module.modules())]

    def find_branch(self) -> tuple[torch.Tensor | None, str]:
        """Return the output of the last part that returns a tensor of the state's shape, and the kind of the branch."""
        for call in reversed(self.calls):
            y = find_like(call.output, self.state.shape)
            if y is not None:
                return y.detach(), name_branch(call.name)
        return None, "branch"

    def list_readers(self) -> list[torch.Tensor]:
        """Return the outputs of the parts that received the state itself."""
        found = [find_like(call.output, self.state.shape) for call in self.calls if self._takes_state(call)]
        return [made for made in found if made is not None]

    def list_weights(self) -> list[nn.Parameter]:
        """Return the parameters of all parts of the layer."""
        return list(dict.fromkeys(parameter for call in self.calls for parameter in call.module.parameters()))

    def takes_what_was_read(self) -> bool:
        """Return whether a part of the layer received a read unchanged, not added to a residual state."""
        given = [x for call in self.calls for x in call.given]
        return any(x is read or are_equal(x.detach(), read.detach()) for x in given for read in self.tensors)

    def _takes_state(self, call: _PartCall) -> bool:
        return any(x is self.state for x in call.given)


class _LastRead(NamedTuple):
    """The latest read. A module may combine it with another tensor; its output then replaces the state."""

    site: int
    returned: list[torch.Tensor]
    written: LayerPass
    combined: list[torch.Tensor]


class _DepthHooks:
    """Hooks of one attachment on reads, blocks and their parts."""

    def __init__(self, adapter: DepthReading, recorder: LayerRecorder) -> None:
        self.adapter, self.recorder = adapter, recorder
        self._reset_pass()

    def _reset_pass(self) -> None:
        """Forget the sources and layers of the previous pass."""
        self._stages: list[list[DepthSource]] = []  # the embedding alone, then the sources of every read
        self._layer: _ReadLayer | None = None
        self._last: _LastRead | None = None
        self._early: list[_PartCall] = []  # calls of parts before the embedding is known
        self._partial: torch.Tensor | None = None  # the tensor that the latest block has returned
        self._sites: dict[nn.Module, list[int]] = {}

    # ---- the model and its blocks

    def begin(self, module: nn.Module, args: Any) -> None:
        """Drop the previous pass when the model is called, except in a recomputation."""
        if not is_in_backward():
            self._reset_pass()
            self.adapter.mismatch = None

    def end(self, module: nn.Module, args: Any, output: Any) -> None:
        """Store the number of layers when the model returns, and release its tensors."""
        if not is_in_backward() and self.adapter.mismatch is None and self._stages:
            self.adapter.finish(len(self._stages) - 1)
            sites = self._sites
            self._reset_pass()  # keep no tensors of the model
            self._sites = sites

    def enter_block(self, block: nn.Module, args: Any, kwargs: Any) -> None:
        """Store the inputs of a block until the embedding, which the first block receives, is known."""
        if self._layer is None and not is_in_backward():
            self._early.append(_PartCall("", block, _list_floats((args, kwargs)), None))

    @torch.no_grad()
    def _find_embedding(self, source: torch.Tensor) -> None:
        """Find the embedding among the inputs of blocks and parts, as the source may only be a slice of a stack."""
        early, self._early = self._early, []
        found = [(at, x) for at, call in enumerate(early) for x in call.given if are_equal(x, source)]
        first, state = found[0] if found else (len(early), source.detach())
        self._layer = _ReadLayer(state, early[first:])
        self._stages = [[DepthSource(state.detach().clone(), frozenset({0}))]]

    def leave_block(self, block: nn.Module, args: Any, output: Any) -> None:
        """Store the tensor that a block returns, which may be a sum of branch outputs that is not yet a source."""
        returned = find_state(output, None)
        if returned is not None and not is_in_backward():
            self._partial = returned.detach()

    # ---- branches

    def record_part(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """Record the call of a part of a block. The last one before the next read is the branch."""
        given = _list_floats((args, kwargs))
        if not given or is_in_backward():
            return
        if self._layer is None or not self._replace_read(given, output):
            calls = self._early if self._layer is None else self._layer.calls
            calls.append(_PartCall(name, module, given, output))

    def _replace_read(self, given: Sequence[torch.Tensor], output: Any) -> bool:
        """If a module combines the read with another tensor, use its output as the state. Return whether it does."""
        last = self._last
        if last is None:
            return False
        are_reads = [any(x is read for read in last.returned) for x in given]
        others = [x for x, is_read in zip(given, are_reads, strict=True) if not is_read]
        made = find_like(output, last.returned[0].shape)
        if not any(are_reads) or made is None or not any(x.shape == made.shape for x in others):
            return False
        last.combined.append(made)
        assert last.written.read is not None, "a read was recorded"
        unknown = last.written.read._replace(values=None, tensors=len(last.combined))
        self._store_state(last.site, last.written._replace(read=unknown, **_merge(last.combined)))
        return True

    # ---- reads

    def read(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """Record a read of earlier outputs, with which one layer ends and the next begins."""
        if is_in_backward():
            self._read_again(module, output)
            return
        if self.adapter.mismatch is not None:
            return
        call = self.adapter.identify(module, args, kwargs, output)
        if call is None:
            if type(module) in self.adapter.kinds:
                self.adapter.mismatch = f"{self.adapter.describe(module)} with unknown weights"
            return
        if self._layer is None:
            self._find_embedding(call.sources[0])
        self._leave_layer(module, call)

    def _leave_layer(self, module: nn.Module, call: ReadCall) -> None:
        """End a layer at the read after it: identify sources and branch, and record the layer and its new state."""
        assert self._layer is not None, "a layer is open"
        self.recorder.confirm()
        layer, site = self._layer, len(self._stages) - 1
        stage, added = self._relate(call.sources)
        if stage is None:
            self.adapter.mismatch = f"{self.adapter.describe(module)} with unknown sources"
            return
        layer.drop(self.adapter.kinds)
        if site and not layer.takes_what_was_read():
            self.adapter.mismatch = f"layer {site + 1} with an input that no read has returned"
            return
        self.adapter.add_site(site, module)
        self._sites.setdefault(module, []).append(site)
        self._stages.append(stage)
        places = tuple(find_place(stage, output) for output in range(site + 2))
        y, name = layer.find_branch()
        written = LayerPass(
            y=_choose_output(added, y),
            h_pre=None,
            h_post=None,
            h_res=(),
            name=name,
            weights=layer.list_weights(),
            read=SourceRead(call.attention_NKH, call.values_NKH, places, len(call.returned)),
            **_merge(call.returned),
        )
        self._layer, self._last = _ReadLayer(written.after, tensors=written.parts or (written.after,)), None
        if self.recorder.enter(site, layer.state):
            if site == 0:
                self.recorder.read_inside(site, layer.state, layer.list_readers())
            self._last = _LastRead(site, call.returned, written, [])
            self._store_state(site, written)

    def _store_state(self, site: int, written: LayerPass) -> None:
        """Set the state that enters the next layer, and record the output of this one."""
        assert self._layer is not None, "the next layer is open"
        self._layer.state, self._layer.tensors = written.after, written.parts or (written.after,)
        self.recorder.leave(site, written)

    def _read_again(self, module: nn.Module, output: Any) -> None:
        """Record the gradient of a recomputed read. It remains unknown if the module reads for several layers."""
        sites = self._sites.get(module, [])
        returned = _list_floats(output)
        if len(sites) == 1 and returned and self.recorder.enter(sites[0], returned[0]):
            self.recorder.leave(sites[0], LayerPass(returned[0], None, None, None, (), "", [], None, tuple(returned)))

    @torch.no_grad()
    def _relate(self, sources: Sequence[torch.Tensor]) -> tuple[list[DepthSource] | None, torch.Tensor | None]:
        """Return the sources of a read in terms of layers' outputs, and the output that was added since the last read.

        When a loop over layers starts again, a read has the sources of an earlier read. The output is then what the
        latest block has added. (None, None) if the sources do not follow from those of earlier reads.
        """
        before, number = self._stages[-1], len(self._stages)
        kept, grown = len(before), sources[-1].detach()
        if len(sources) == kept + 1 and _are_same(sources, before):
            return [*before, DepthSource(grown.clone(), frozenset({number}))], grown
        last = before[-1]
        # A source that is not finite stays so if an output is added.
        has_grown = not are_equal(grown, last.values) or not torch.isfinite(grown).all()
        if len(sources) == kept and _are_same(sources, before[:-1]) and has_grown:
            outputs = last.outputs | {number}
            return [*before[:-1], DepthSource(grown.clone(), outputs)], _subtract_wide(grown, last.values)
        for stage in reversed(self._stages[:-1]):
            if len(stage) == len(sources) and _are_same(sources, stage):
                return stage, None if self._partial is None else _subtract_wide(self._partial, last.values)
        return None, None


def _merge(tensors: Sequence[torch.Tensor]) -> dict[str, Any]:
    """Return the fields `after` and `parts` of a `LayerPass` whose state is the mean of these tensors."""
    if len(tensors) == 1:
        return {"after": tensors[0], "parts": ()}
    return {"after": torch.stack([x.detach() for x in tensors]).mean(0), "parts": tuple(tensors)}


def _are_same(sources: Sequence[torch.Tensor], stage: Sequence[DepthSource]) -> bool:
    return all(are_equal(source.detach(), own.values) for source, own in zip(sources, stage, strict=False))


def are_equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Return whether two tensors have the same values. nan equals nan."""
    if one.shape != other.shape:
        return False
    other = other.to(one.device, one.dtype)
    return torch.equal(one, other) or torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _subtract_wide(after: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Return the difference of two tensors, computed at least in float32."""
    wide = to_wide_dtype(after.dtype)
    return after.to(wide) - before.to(after.device, wide)


def _choose_output(added: torch.Tensor | None, returned: torch.Tensor | None) -> torch.Tensor | None:
    """Return the output of a branch: the tensor that its last part returned, if it was added; else what was added.

    The returned tensor is preferred, because `added` may be a difference of two states, which is less precise.
    """
    if added is None or returned is None:
        return added
    wide = to_wide_dtype(added.dtype)
    error = float((returned.to(added.device, wide) - added.to(wide)).norm())
    coarse = max(torch.finfo(x.dtype).eps for x in (added, returned))
    return returned if error <= max(64 * coarse, 1e-4) * float(added.to(wide).norm()) else added


def find_place(stage: Sequence[DepthSource], output: int) -> int | None:
    return next((place for place, source in enumerate(stage) if output in source.outputs), None)

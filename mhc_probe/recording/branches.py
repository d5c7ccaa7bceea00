"""Record residual models whose sum is outside of the listed modules, which are branches: x = x + layer(x).

The sum is found among the operations of the code that calls the branches: it adds a tensor computed from a branch's
output to a tensor from which the branch's input was computed. Norms before the branch, and scales, gates and dropout
after it, count as part of the branch, but their parameters do not: only those of the listed module are known to belong
to it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from mhc_core.spec import SpecError
from mhc_probe.adapter import LayerPass, LayerRecorder
from mhc_probe.edits import ModelEdits
from mhc_probe.recording.lineage import Lineage
from mhc_probe.recording.pass_recorder import is_in_backward
from mhc_probe.recording.paths import CONTAINERS, name_module
from mhc_probe.recording.residual import Residual, subtract
from mhc_probe.recording.terms import HARMLESS, TermReader, Terms, list_operands
from mhc_probe.recording.values import find_state, list_tensors, replace_tensor


class Branches(Residual):
    """x' = c x + y, where the calling code computes y from a listed module's output. States are as in `Residual`."""

    def __init__(self, model: nn.Module, layers: Sequence[nn.Module]) -> None:
        super().__init__(model, layers)
        self.mismatch: str | None = None  # why the latest pass does not fit this adapter

    def register_hooks(self, recorder: LayerRecorder, edits: ModelEdits | None = None) -> list[Callable[[], None]]:
        """Hook the branches and the modules that call them; return functions that remove the hooks."""
        hooks = _BranchHooks(self, recorder, edits)
        sites: dict[nn.Module, list[int]] = defaultdict(list)
        for site, layer in enumerate(self.layers):
            sites[layer].append(site)
        undo: list[Callable[[], None]] = []
        for module in _list_callers(self.model, set(self.layers)):
            undo.append(module.register_forward_pre_hook(hooks.begin).remove)
            undo.append(module.register_forward_hook(hooks.end, always_call=True).remove)
        for layer, places in sites.items():
            undo.append(layer.register_forward_pre_hook(hooks.enter, with_kwargs=True).remove)
            leave = partial(hooks.leave, places)
            undo.append(layer.register_forward_hook(leave, with_kwargs=True, always_call=True).remove)
        return undo

    def explain(self) -> SpecError | None:
        """Return the error of branches that are not added to the state that they read, if the pass has shown one."""
        if self.mismatch is None:
            return super().explain()
        wanted = (
            "layers that are called one after the other, each of which adds to the state that it reads. Put one step of"
            " the loop into a module that returns the next state, and list these modules as layers="
        )
        return SpecError("layers", self.mismatch, wanted)

    def describe(self, site: int) -> str:
        """Return the name of a branch for a message."""
        return name_module(self.model, self.layers[site]) or f"layer {site + 1}"


class _OpenBranch(NamedTuple):
    """A branch that has returned and whose output is not added yet, with the ids of its input and output tensors."""

    site: int
    read: int
    returned: int


class _Sum(NamedTuple):
    """The operation that adds a branch's output to the state, c x + a y. y is None if y itself is not an operand."""

    branch: _OpenBranch
    x: torch.Tensor
    c: float
    y: torch.Tensor | None
    a: float


class _Multiple(NamedTuple):
    """A tensor c x, with the id that x had."""

    x: torch.Tensor
    id: int
    c: float


class _BranchHooks(TorchFunctionMode):
    """Hooks of one attachment on branches, and on the operations between them."""

    def __init__(self, adapter: Branches, recorder: LayerRecorder, edits: ModelEdits | None) -> None:
        super().__init__()
        self.adapter, self.recorder, self.edits = adapter, recorder, edits
        self._callers: list[nn.Module] = []
        self._reset_pass()

    def _reset_pass(self) -> None:
        """Forget the branches and operations of the previous pass."""
        self._lineage, self._terms = Lineage(), TermReader()
        self._multiples = WeakIdKeyDictionary()  # tensor -> _Multiple
        self._reads: list[int | None] = []  # inputs of the branches that are running
        self._called: set[int] = set()
        self._open: list[_OpenBranch] = []
        self._has_sums = False

    # ---- the code that calls the branches

    def begin(self, module: nn.Module, args: Any) -> None:
        """Start following operations at the outermost call of a module that contains all branches."""
        if is_in_backward():
            return
        if not self._callers:
            self._reset_pass()
            self.adapter.mismatch = None
            self.__enter__()
        self._callers.append(module)

    def end(self, module: nn.Module, args: Any, output: Any) -> None:
        """Stop following operations when that module returns or raises."""
        if is_in_backward() or not self._callers or self._callers[-1] is not module:
            return
        self._callers.pop()
        if not self._callers:
            self.__exit__(None, None, None)
            if self._open and self._has_sums and self.adapter.mismatch is None:
                name = self.adapter.describe(self._open[0].site)
                self.adapter.mismatch = f"{name}, not added to what it reads"
            self._reset_pass()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation; if it adds a branch's output to its state, record the layer."""
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if self._reads:  # within a branch
            return func(*args, **kwargs)
        terms = self._terms.read(name, args, kwargs)
        found = self._find_sum(terms) if self._open else None
        leave = None if found is None else self._enter_sum(found)
        out = func(*args, **kwargs)
        if name not in HARMLESS or not any(out is tensor for tensor in list_operands(args)):
            self._record(name, terms, args, kwargs, out)
        if leave is not None:
            leave(out)
        return out

    def _record(self, name: str, terms: Terms, args: Sequence[Any], kwargs: dict[str, Any], out: Any) -> None:
        """Store from which tensors an operation's result was computed, and whether it is a multiple of one of them."""
        made = list_operands([out])
        if not made:
            return
        self._terms.remember(name, args, kwargs, out)
        multiple = None
        if len(terms.known) == 1 and all(tensor.numel() == 1 for tensor in terms.others):
            x, c = terms.known[0]
            multiple = None if x is out else _Multiple(x, self._lineage.find_id(x), c)
        self._lineage.record(made, list_operands([*args, *kwargs.values()]))
        if multiple is not None:
            self._multiples[made[0]] = multiple

    # ---- branches

    def enter(self, layer: nn.Module, args: Any, kwargs: Any) -> None:
        """Store the id of the state with which a branch is called."""
        if self._callers and not is_in_backward():
            state = find_state(args, kwargs)
            self._reads.append(None if state is None else self._lineage.find_id(state))

    def leave(self, sites: Sequence[int], layer: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        """Store the output of a branch. A branch that raised has no output."""
        changed = self._edit(sites[0], output)
        output = output if changed is None else changed
        if self._reads and not is_in_backward():
            self._open_branch(sites, args, kwargs, output)
        return changed

    def _edit(self, site: int, output: Any) -> Any:
        """Return the edited output of a listed module; None if it is not edited."""
        y = find_state(output, None)
        if self.edits is None or y is None or not self.edits.touches(site, "branch"):
            return None
        return replace_tensor(output, y, self.edits.output(site, y))

    def _open_branch(self, sites: Sequence[int], args: Any, kwargs: Any, output: Any) -> None:
        """Store the output of a branch until a sum adds it to the state that the branch has read."""
        read, returned = self._reads.pop(), find_state(output, None)
        self._lineage.record(list_tensors(output), list_tensors((args, kwargs)))
        site = next((site for site in sites if site not in self._called), None)
        if read is not None and returned is not None and site is not None:
            self._called.add(site)
            self._open.append(_OpenBranch(site, read, self._lineage.find_id(returned)))

    # ---- sums

    def _find_sum(self, terms: Terms) -> _Sum | None:
        """Return the sum that adds a branch to its own state; None if there is not exactly one."""
        found = [match for place in range(len(terms.known)) for match in self._list_matches(terms, place)]
        if len(found) > 1:
            names = " and ".join(self.adapter.describe(match.branch.site) for match in found)
            self.adapter.mismatch = f"{names}, added in one sum"
        return found[0] if len(found) == 1 else None

    def _list_matches(self, terms: Terms, place: int) -> Iterator[_Sum]:
        """Yield open branches for which this operand is a multiple of the state and another belongs to the branch."""
        tensor, factor = terms.known[place]
        known = [term for k, term in enumerate(terms.known) if k != place]
        others = [*(other for other, _ in known), *terms.others]
        if not all(_fits(other, tensor) for other in others):
            return
        for branch in self._open:
            is_state = not self._is_made_of(tensor, branch.returned)
            if is_state and any(self._is_made_of(other, branch.returned) for other in others):
                x, c = self._find_state(tensor, factor, branch.read)
                if x is not None:
                    is_alone = len(others) == len(known) == 1 and x is tensor
                    yield _Sum(branch, x, c, *(known[0] if is_alone else (None, 0.0)))

    def _is_made_of(self, tensor: torch.Tensor, source: int) -> bool:
        return self._lineage.is_made_of(self._lineage.find_id(tensor), source)

    def _find_state(self, tensor: torch.Tensor, factor: float, read: int) -> tuple[torch.Tensor | None, float]:
        """Return x and c of a tensor c x, where the branch's input was computed from x; None if there is none."""
        while not self._lineage.is_made_of(read, self._lineage.find_id(tensor)):
            multiple = self._multiples.get(tensor)
            if multiple is None or multiple.id != self._lineage.find_id(multiple.x):  # changed in place since
                return None, 0.0
            tensor, factor = multiple.x, factor * multiple.c
        return tensor, factor

    @torch.no_grad()
    def _enter_sum(self, found: _Sum) -> Callable[[torch.Tensor], None] | None:
        """Record the state and the branch output before they are added, because the addition may overwrite them.

        Return a function to be called with the sum, or None if this sum is not recorded.
        """
        self._open.remove(found.branch)
        self._has_sums = True
        if not self.recorder.enter(found.branch.site, found.x):
            return None
        y = None if found.y is None else (found.y.detach() * found.a).expand_as(found.x)
        return partial(self._leave_sum, found, found.x.detach().clone() if y is None else None, y)

    @torch.no_grad()
    def _leave_sum(self, found: _Sum, before: torch.Tensor | None, y: torch.Tensor | None, after: torch.Tensor) -> None:
        """Record the layer whose branch output was added: x' = c x + y."""
        layer = self.adapter.layers[found.branch.site]
        one = torch.ones(1, dtype=torch.float32, device=after.device)
        if before is not None:
            y = subtract(after, before, found.c) if after.shape == before.shape else None
        weights = list(layer.parameters())
        h_res = ((found.c * one).view(1, 1),)
        self.recorder.leave(found.branch.site, LayerPass(after, y, one, one, h_res, type(layer).__name__, weights))


def _fits(other: torch.Tensor, tensor: torch.Tensor) -> bool:
    """Return whether an operand keeps the shape of the tensor when both are combined entry by entry."""
    shape = (1,) * (tensor.ndim - other.ndim) + tuple(other.shape)
    return len(shape) == tensor.ndim and all(a in (1, b) for a, b in zip(shape, tensor.shape, strict=True))


def _list_callers(model: nn.Module, layers: set[nn.Module]) -> Iterator[nn.Module]:
    """Yield modules that contain all layers and have a forward pass, from the outermost to the innermost."""
    module: nn.Module | None = model if layers <= set(model.modules()) else None
    while module is not None and module not in layers:
        if not isinstance(module, CONTAINERS):
            yield module
        module = next((child for child in module.children() if layers <= set(child.modules())), None)

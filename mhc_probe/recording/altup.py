"""Record models with alternating updates (AltUp), in which a layer predicts all streams, runs on one, and corrects all.

predict(x) returns xh = (I + P) x; the layer L reads one predicted stream, xh_a; correct(xh, L(xh_a)) returns
x'_i = xh_i + k_i (L(xh_a) - xh_a). With the branch F(u) = L(u) - u this is x' = H_res x + H_post F(H_pre x), where
H_res = I + P, H_pre is row a of H_res, and H_post = k. P depends on the token, and k on the output of L. The formulas
are those of Gemma 3n in transformers. Its blocks add another output to some streams after the correction: this is
recorded as a second layer, which reads one stream and has H_res = I.

P and k are found among the operands of both methods, and checked against the resulting states.

Shapes: n streams, N samples, C width. A state is (n, ..., C).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_probe.adapter import Adapter, LayerPass, LayerRecorder, LayerSite
from mhc_probe.edits import ModelEdits
from mhc_probe.laws import find_tolerance
from mhc_probe.recording.hyper import find_autocast
from mhc_probe.recording.joined import JoinedPasses
from mhc_probe.recording.values import find_like, list_tensors

METHODS = ("predict", "correct")


class PredictorSite(NamedTuple):
    """A module with both methods, the block that contains it, and the block's other parts by name."""

    predictor: nn.Module
    block: nn.Module
    others: dict[str, nn.Module]


def find_predictors(model: nn.Module) -> list[PredictorSite]:
    """Return the modules that have AltUp's methods predict and correct, in the model's own order."""
    found = []
    for block in model.modules():
        for child in block.children():
            if all(callable(getattr(child, name, None)) for name in METHODS):
                others = {name: part for name, part in block.named_children() if part is not child}
                found.append(PredictorSite(child, block, others))
    return found


class AlternatingUpdates(Adapter):
    """Two layers per predictor: one that ends with the correction, and one for what the block adds after it, if any."""

    needs_confirmation = True  # methods of other modules may have these names

    def __init__(self, predictor_sites: Sequence[PredictorSite]) -> None:
        self.predictor_sites = list(predictor_sites)
        self.sites = [
            LayerSite("branch", mixing)
            for site in self.predictor_sites
            for mixing in (list(site.predictor.parameters()), [])
        ]
        self._additions: set[int] = set()

    def register_hooks(self, recorder: LayerRecorder, edits: ModelEdits | None = None) -> list[Callable[[], None]]:
        """Replace AltUp's methods, and hook blocks and parts; return functions that undo this."""
        hooks = _UpdateHooks(self, recorder)
        replacements: tuple[Callable[..., Any], ...] = (hooks.predict, hooks.correct)
        undo: list[Callable[[], None]] = []
        for index, (predictor, block, others) in enumerate(self.predictor_sites):
            for name, replace in zip(METHODS, replacements, strict=True):
                # As an attribute of the instance, it precedes the method of the class.
                predictor.__dict__[name] = partial(replace, index, getattr(predictor, name))
                undo.append(partial(predictor.__dict__.pop, name))
            for name, part in others.items():
                record = partial(hooks.record_part, name)
                undo.append(part.register_forward_hook(record, with_kwargs=True).remove)
            undo.append(block.register_forward_hook(hooks.leave_block).remove)
        return undo

    def parameters(self) -> list[nn.Parameter]:
        return list(dict.fromkeys(parameter for site in self.predictor_sites for parameter in site.block.parameters()))

    def find_inner(self) -> nn.Module:
        return self.predictor_sites[0].block

    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        return state.flatten(1, -2)

    def count_layers(self) -> int:
        return len(self.predictor_sites) + len(self._additions)

    def add_addition(self, index: int) -> None:
        """Record that a block adds an output to the streams after its correction, which is a layer of its own."""
        self._additions.add(index)

    def matches(self, recorded: JoinedPasses, autocast: torch.dtype | None) -> bool:
        return True  # hooks compare each prediction with its coefficients

    def propose(self, sites: Sequence[int]) -> str | None:
        return None


@dataclass
class _OpenUpdate:
    """One block between its prediction and its end.

    Attributes
    ----------
    h_res: (N, n, n), I + P; None if it is not known.
    active: the stream that the layer reads; None until a part has received it.
    corrected: the result of the correction, before the block adds to it; None until then.
    addition: the tensor from which the block computes its addition.
    """

    index: int
    predicted: torch.Tensor
    h_res: torch.Tensor | None
    active: int | None = None
    parts: list[nn.Module] = field(default_factory=list)
    corrected: torch.Tensor | None = None
    corrected_values: torch.Tensor | None = None
    addition: torch.Tensor | None = None
    h_pre: torch.Tensor | None = None
    y: torch.Tensor | None = None
    name: str = "branch"

    def list_weights(self) -> list[nn.Parameter]:
        """Return the parameters of the parts that were called."""
        return list(dict.fromkeys(parameter for part in self.parts for parameter in part.parameters()))


class _UpdateHooks:
    """Functions that replace the two methods and record their calls, and hooks on the parts of a block."""

    def __init__(self, adapter: AlternatingUpdates, recorder: LayerRecorder) -> None:
        self.adapter, self.recorder = adapter, recorder
        self.open: _OpenUpdate | None = None

    def predict(self, index: int, method: Callable[..., Any], state: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Call AltUp's prediction, and record the entering state and the matrix I + P."""
        self.open = None
        if not self.recorder.enter(2 * index, state):
            return method(state, *args, **kwargs)
        before = state.detach().clone()
        predicted, operands = self._call(method, state, *args, **kwargs)
        if predicted.shape == before.shape:
            h_res = self._find_prediction(before, predicted.detach(), operands)
            if h_res is not None:
                self.recorder.confirm()
            self.open = _OpenUpdate(index, predicted, h_res)
        return predicted

    def correct(
        self, index: int, method: Callable[..., Any], predicted: torch.Tensor, activated: torch.Tensor, *args: Any
    ) -> Any:
        """Call AltUp's correction, and record the layer that ends with it."""
        layer = self.open
        if layer is None or layer.index != index or layer.active is None:
            return method(predicted, activated, *args)
        before = predicted.detach().clone()
        after, operands = self._call(method, predicted, activated, *args)
        difference = activated.detach() - before[layer.active]
        h_post = self._find_correction(before, after.detach(), difference, operands)
        h_pre = None if layer.h_res is None else layer.h_res[:, layer.active]
        matrices = () if layer.h_res is None else (layer.h_res,)
        name = type(self.adapter.predictor_sites[index].block).__name__
        written = LayerPass(after, difference, h_pre, h_post, matrices, name, layer.list_weights(), subtracts_read=True)
        self.recorder.leave(2 * index, written)
        layer.corrected, layer.parts = after, []
        return after

    def record_part(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """Record a call of a part. Before the correction it belongs to the first layer, afterwards to the second."""
        layer = self.open
        if layer is None:
            return
        shape = layer.predicted.shape[1:]
        given = [x for x in list_tensors((args, kwargs)) if x.shape == shape and x.is_floating_point()]
        layer.parts.append(module)
        if layer.corrected is None:
            self._find_active(layer, given)
            return
        if layer.addition is None and given:
            self._enter_addition(layer, name, given[0])
        y = find_like(output, shape)
        layer.y = layer.y if y is None else y.detach()

    def leave_block(self, block: nn.Module, args: Any, output: Any) -> None:
        """Record what was added to the corrected streams."""
        layer, self.open = self.open, None
        if layer is None or layer.corrected_values is None or layer.y is None:
            return
        after = find_like(output, layer.corrected_values.shape)
        if after is not None:
            one = torch.eye(len(after), device=after.device)
            h_post = self._find_addition(after.detach() - layer.corrected_values, layer.y)
            written = LayerPass(after, layer.y, layer.h_pre, h_post, (one,), layer.name, layer.list_weights())
            self.recorder.leave(2 * layer.index + 1, written)

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Call AltUp's prediction or correction; return its result, and operands that may be coefficients."""
        streams, samples = len(args[0]), args[0][0, ..., 0].numel()
        self.recorder.operations.collect(streams * streams * samples)
        operands: list[torch.Tensor] = []
        try:
            output = method(*args, **kwargs)
        finally:
            operands += self.recorder.operations.stop()
        return output, operands

    @torch.no_grad()
    def _find_active(self, layer: _OpenUpdate, given: Sequence[torch.Tensor]) -> None:
        """Find the predicted stream that a part receives, and record it as the branch's input."""
        if layer.active is not None:
            return
        for u in given:
            for stream, predicted in enumerate(layer.predicted.detach()):
                if torch.equal(u.detach(), predicted):
                    layer.active = stream
                    self.recorder.read(2 * layer.index, u)
                    return

    def _enter_addition(self, layer: _OpenUpdate, name: str, given: torch.Tensor) -> None:
        """Record the beginning of the second layer. Gains of channels before its input belong to its branch."""
        assert layer.corrected is not None, "the correction has returned"
        site = 2 * layer.index + 1
        layer.addition, layer.parts, layer.name = given, layer.parts[-1:], name
        if not self.recorder.enter(site, layer.corrected):
            self.open = None
            return
        self.adapter.add_addition(layer.index)
        layer.corrected_values = layer.corrected.detach().clone()
        streams = layer.corrected_values.flatten(1, -2)
        stream = _find_scaled(streams, given.detach().flatten(0, -2), self._find_tolerance(given))
        if stream is not None:
            layer.h_pre = torch.eye(len(streams), device=given.device)[stream]
            self.recorder.read_inside(site, layer.corrected, [given], stream)

    # ---- coefficients

    def _find_tolerance(self, x: torch.Tensor) -> float:
        return find_tolerance(x.dtype, autocast=find_autocast(x))

    @torch.no_grad()
    def _find_prediction(
        self, before: torch.Tensor, predicted: torch.Tensor, operands: Sequence[torch.Tensor]
    ) -> torch.Tensor | None:
        """Find I + P, (N, n, n), from the operand that maps the streams to the predicted streams; None if unknown."""
        x_nNC, made_nNC = (part.flatten(1, -2).float() for part in (before, predicted))
        n, samples, _ = x_nNC.shape
        one = torch.eye(n, device=before.device)
        found = [
            (float((torch.einsum("bij,jbc->ibc", h_res, x_nNC) - made_nNC).norm() / made_nNC.norm()), h_res)
            for operand in operands
            if operand.numel() == samples * n * n and operand.is_floating_point()
            for matrix in _list_orientations(operand.detach().reshape(samples, n, n).float())
            for h_res in (one + matrix, matrix)
        ]
        return _choose(found, self._find_tolerance(predicted))

    @torch.no_grad()
    def _find_correction(
        self,
        predicted: torch.Tensor,
        after: torch.Tensor,
        difference: torch.Tensor,
        operands: Sequence[torch.Tensor],
    ) -> torch.Tensor | None:
        """Find k, (N, n): the operand that multiplies the difference in the correction; None if unknown."""
        xh_nNC, x_nNC, v_NC = predicted.flatten(1, -2), after.flatten(1, -2), difference.flatten(0, -2)
        n, samples, _ = x_nNC.shape
        found = [
            (float((xh_nNC + k.T.unsqueeze(-1) * v_NC - x_nNC).float().norm() / x_nNC.float().norm()), k)
            for operand in operands
            if operand.numel() == samples * n and operand.is_floating_point()
            for k in (operand.detach().reshape(n, samples).T, operand.detach().reshape(samples, n))
        ]
        return _choose(found, self._find_tolerance(after))

    @torch.no_grad()
    def _find_addition(self, added: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return (n): 1 for a stream to which the output was added, else 0. Recorded states confirm it later."""
        weights = [float((part - y).float().norm() < part.float().norm()) for part in added]
        return torch.tensor(weights, device=y.device)


def _list_orientations(matrix: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield a matrix and its transpose."""
    yield matrix
    yield matrix.mT


def _choose(found: Sequence[tuple[float, torch.Tensor]], tolerance: float) -> torch.Tensor | None:
    """Return the coefficients with the smallest error; None if it is not below the tolerance."""
    error, best = min(found, key=lambda item: item[0], default=(float("inf"), torch.empty(0)))
    return best if error < tolerance else None


@torch.no_grad()
def _find_scaled(x_nNC: torch.Tensor, given_NC: torch.Tensor, tolerance: float) -> int | None:
    """Return the stream that a tensor equals up to a factor for each channel; None if there is none."""
    given = given_NC.float()
    if not given.any():  # zeros equal every stream up to a factor
        return None
    for stream, x_NC in enumerate(x_nNC.float()):
        factor_C = (x_NC * given).sum(0) / x_NC.square().sum(0)
        if float((factor_C * x_NC - given).norm()) <= tolerance * float(given.norm()):
            return stream
    return None

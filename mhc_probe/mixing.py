"""Determine the mixing coefficients of every layer of a recorded pass, for the code that measures our own stacks.

Coefficients that the recorded states do not obey are unknown: nan.

Shapes: L layers, n streams, N samples.
"""

from collections.abc import Sequence

import torch

from mhc_core.layers.connections import Mixing, RecordedMixing
from mhc_core.metric import pick_features
from mhc_probe.laws import choose_h_res, find_tolerance, measure_write_error, solve_branch
from mhc_probe.recording.joined import JoinedLayer, JoinedPasses


def find_mixings(
    recorded: JoinedPasses, autocast: torch.dtype | None, base: JoinedPasses | None = None
) -> list[Mixing]:
    """Return the coefficients of every layer, all with an axis N or all without; nan if the states do not obey them.

    If the states do not obey the recorded branch output, because the block changes it before adding it, the output is
    computed from the states.

    base: the pass without edits, if this one is edited. Its choice among the candidates for H_res is used, because
        edits can make the candidates equal.
    """
    n, samples, _ = recorded.state_nNC.shape
    if n == 1:
        return [_build_single(layer, recorded.state_nNC.device) for layer in recorded.layers]
    states = [recorded.state_nNC, *(layer.after_nNC for layer in recorded.layers)]
    tolerance = find_tolerance(recorded.dtype, autocast=autocast)
    laws = [_Law(layer, state, tolerance) for layer, state in zip(recorded.layers, states, strict=False)]
    known = [law for law in laws if law.errors]
    if base is not None:
        for layer, law in zip(base.layers, laws, strict=True):
            law.settle(layer.chosen if layer.chosen is not None and layer.chosen < len(law.errors) else None)
        return [_build_mixing(layer, n, samples, law.chosen) for layer, law in zip(recorded.layers, laws, strict=True)]
    spread = max((law.spread for law in known), default=0.0)
    chosen = choose_h_res([law.errors for law in known], spread) if known else None
    for law in known:
        law.settle(chosen)
    if not any(law.chosen is not None for law in known):
        for law in known:
            law.try_unmixed()
    return [_build_mixing(layer, n, samples, law.chosen) for layer, law in zip(recorded.layers, laws, strict=True)]


def add_gates(mixings: Sequence[Mixing], recorded: JoinedPasses) -> Sequence[Mixing | RecordedMixing]:
    """Add the gates of each layer to its coefficients, nan if unknown. Without any gates, return them unchanged."""
    layers = recorded.layers
    if all(layer.gates is None for layer in layers):
        return mixings
    n, samples, width = recorded.state_nNC.shape
    unknown = recorded.state_nNC.new_full((samples, n, len(pick_features(width, n))), torch.nan)
    gates = [unknown if layer.gates is None else layer.gates for layer in layers]
    return [RecordedMixing(*mixing, gates=part) for mixing, part in zip(mixings, gates, strict=True)]


class _Law:
    """The equation x' = H_res x + H_post y of one layer, with each candidate for H_res.

    `errors` has one entry per candidate, and is [] if H_post or every matrix is missing.
    """

    def __init__(self, layer: JoinedLayer, state_nNC: torch.Tensor, tolerance: float) -> None:
        self.layer, self.tolerance = layer, tolerance
        self.errors: list[float] = []
        self.chosen: int | None = None
        self.branches: list[torch.Tensor] = []
        if layer.h_post is None:
            return
        n, samples, _ = state_nNC.shape
        entered_nNC = state_nNC if layer.entered_nNC is None else layer.entered_nNC
        self._states = entered_nNC.float(), layer.after_nNC.float()
        self._h_post = layer.h_post.float().expand(samples, n)
        for h_res in layer.h_res:
            self._try(h_res.float().expand(samples, n, n))

    def _try(self, matrix: torch.Tensor) -> None:
        """Measure the error of one candidate for H_res with the recorded branch, or with a least-squares branch."""
        branch = self.layer.y_NC
        if branch is not None:
            error = measure_write_error(*self._states, branch.float(), self._h_post, matrix)
        if branch is None or not error < self.tolerance:
            branch = solve_branch(*self._states, self._h_post, matrix)
            error = measure_write_error(*self._states, branch, self._h_post, matrix)
        self.errors.append(error)
        self.branches.append(branch)

    @property
    def spread(self) -> float:
        """Return the largest difference between entries of the candidates for H_res."""
        first = self.layer.h_res[0]
        return max(float((first - other).abs().max()) for other in self.layer.h_res)

    def settle(self, chosen: int | None) -> None:
        """Use the candidate for H_res chosen for all layers, with its branch output, if this layer obeys it."""
        if chosen is not None and self.errors[chosen] < self.tolerance:
            self.chosen = self.layer.chosen = chosen
            self.layer.y_NC = self.branches[chosen]

    def try_unmixed(self) -> None:
        """Try the identity as H_res, although the connection returned other matrices."""
        samples, n = self._h_post.shape
        unmixed = torch.eye(n, device=self._h_post.device)
        self._try(unmixed.expand(samples, n, n))
        self.layer.h_res.append(unmixed)
        self.settle(len(self.errors) - 1)


def _build_single(layer: JoinedLayer, device: torch.device) -> Mixing:
    """Build the mixing of a layer with one stream; nan where it is unknown."""
    unknown = torch.full((1,), float("nan"), device=device)
    h_pre, h_post = (unknown if part is None else part for part in (layer.h_pre, layer.h_post))
    return Mixing(h_pre, h_post, layer.h_res[0] if layer.h_res else unknown.view(1, 1))


def _build_mixing(layer: JoinedLayer, n: int, samples: int, chosen: int | None) -> Mixing:
    """Build the mixing of a layer with a first axis N; nan if unknown.

    H_post and H_res are both unknown if no candidate for H_res fits the states.
    """
    device = layer.after_nNC.device

    def spread_out(part: torch.Tensor | None, *shape: int) -> torch.Tensor:
        """Return a coefficient with a first axis for samples; nan if it is unknown."""
        value = torch.tensor(float("nan"), device=device) if part is None else part
        return value.float().expand(samples, *shape)

    h_res = None if chosen is None else layer.h_res[chosen]
    h_post = None if chosen is None else layer.h_post
    return Mixing(spread_out(layer.h_pre, n), spread_out(h_post, n), spread_out(h_res, n, n))

"""Coefficients of every layer as the probes take them: what does not hold is not known, and is nan.

Shapes: L layers, n streams, N samples.
"""

from collections.abc import Sequence

import torch

from mhc_core.attach.hearing.joined import Joined, JoinedLayer
from mhc_core.attach.laws import choose, find_tolerance, measure_write_error
from mhc_core.connections import Mixing


def find_mixings(heard: Joined, autocast: torch.dtype | None) -> list[Mixing]:
    """Coefficients of every layer, all with N or all without; nan where the states do not obey them."""
    n, samples, _ = heard.state_nNC.shape
    if n == 1:
        return [_build_single(layer, heard.state_nNC.device) for layer in heard.layers]
    states = [heard.state_nNC, *(layer.after_nNC for layer in heard.layers)]
    errors = [_measure_errors(layer, state) for layer, state in zip(heard.layers, states, strict=False)]
    known = [place for place, found in enumerate(errors) if found]
    spread = max((_measure_spread(heard.layers[place].h_res) for place in known), default=0.0)
    chosen = choose([errors[place] for place in known], spread) if known else None
    tolerance = find_tolerance(heard.dtype, autocast=autocast)
    return [
        _build(layer, n, samples, chosen if found and chosen is not None and found[chosen] < tolerance else None)
        for layer, found in zip(heard.layers, errors, strict=True)
    ]


def _build_single(layer: JoinedLayer, device: torch.device) -> Mixing:
    unknown = torch.full((1,), float("nan"), device=device)
    h_pre, h_post = (unknown if part is None else part for part in (layer.h_pre, layer.h_post))
    return Mixing(h_pre, h_post, layer.h_res[0] if layer.h_res else unknown.view(1, 1))


def _build(layer: JoinedLayer, n: int, samples: int, chosen: int | None) -> Mixing:
    """With N in front; H_post is known only together with H_res, as they are held against the states together."""
    device = layer.after_nNC.device

    def spread_out(part: torch.Tensor | None, *shape: int) -> torch.Tensor:
        value = torch.tensor(float("nan"), device=device) if part is None else part
        return value.float().expand(samples, *shape)

    h_res = None if chosen is None else layer.h_res[chosen]
    h_post = None if chosen is None else layer.h_post
    return Mixing(spread_out(layer.h_pre, n), spread_out(h_post, n), spread_out(h_res, n, n))


def _measure_errors(layer: JoinedLayer, state_nNC: torch.Tensor) -> list[float]:
    """By which the states miss the law with each matrix that may be H_res; [] where one part is not known."""
    if layer.y_NC is None or layer.h_post is None:
        return []
    n, samples, _ = state_nNC.shape
    parts = state_nNC.float(), layer.after_nNC.float(), layer.y_NC.float(), layer.h_post.float().expand(samples, n)
    return [measure_write_error(*parts, h_res.float().expand(samples, n, n)) for h_res in layer.h_res]


def _measure_spread(matrices: Sequence[torch.Tensor]) -> float:
    """The largest difference between entries of matrices that may be H_res."""
    return max(float((matrices[0] - other).abs().max()) for other in matrices)

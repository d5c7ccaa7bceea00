"""Find the branch's input and the coefficients in the output of a connection by their shapes, and check them.

Shapes: n streams, C width, N samples; `lead` are the axes of the samples.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from mhc_probe.laws import measure_read_error
from mhc_probe.recording.values import list_tensors

NORMED = 0.05  # relative difference from normed streams that the epsilon of a norm may cause


class ConnectionCall(NamedTuple):
    """One call of a connection.

    Attributes
    ----------
    axis: axis of the streams in a state (..., C); None in a state (..., nC).
    u: the branch's input, (..., C).
    vectors: (N, n) or (n), H_post and perhaps H_pre.
    matrix: (N, n, n) or (n, n), H_res or its transpose; None if the connection returns none.
    returned: the tensors of vectors and matrix as the connection returned them, in this order.
    """

    axis: int | None
    u: torch.Tensor
    vectors: list[torch.Tensor]
    matrix: torch.Tensor | None
    returned: list[torch.Tensor]


def find_coefficients(state: torch.Tensor, output: Any) -> ConnectionCall | None:
    """Find branch input and coefficients in a connection's output, by shapes alone; None if it does not have them.

    If n and C are ambiguous, prefer sizes for which there is a matrix, then the larger width.
    """
    found = list(_list_readings(state, output))
    return max(found, key=lambda reading: (reading.matrix is not None, reading.u.shape[-1]), default=None)


def _list_readings(state: torch.Tensor, output: Any) -> Iterator[ConnectionCall]:
    """Yield the ways to read a connection's output as branch input, vectors and a matrix, by their shapes."""
    tensors = [x for x in list_tensors(output) if x.is_floating_point() and x is not state]
    for axis, lead, n, width in _list_layouts(state.shape, tensors):
        u = next((x for x in tensors if x.shape == (*lead, width)), None)
        rest = [x for x in tensors if x is not u]
        vectors = [x for x in rest if x.shape in ((*lead, n), (*lead, n, 1), (n,))]
        matrix = next((x for x in rest if x.shape in ((*lead, n, n), (n, n))), None)
        if u is not None and vectors:
            flat = None if matrix is None else _flatten(matrix, n, n)
            returned = vectors if matrix is None else [*vectors, matrix]
            yield ConnectionCall(axis, u, [_flatten(x, n) for x in vectors], flat, returned)


def find_read_weights(
    x_nNC: torch.Tensor, u_NC: torch.Tensor, candidates: Sequence[torch.Tensor], tolerance: float
) -> torch.Tensor | None:
    """Return the last candidate that obeys u = H_pre x, as (N, n), with its graph; None if there is none."""
    n, samples, _ = x_nNC.shape
    for weights in reversed(candidates):
        if weights.numel() == n * samples:
            h_pre = weights.reshape(samples, n)
        elif weights.shape == (n,):
            h_pre = weights.expand(samples, n)
        else:
            continue
        if measure_read_error(x_nNC, h_pre.detach(), u_NC) < tolerance:
            return h_pre
    return None


def find_gates(
    x_nNC: torch.Tensor, u_NC: torch.Tensor, factors: Sequence[torch.Tensor], tolerance: float
) -> torch.Tensor | None:
    """Find which of two factors of a product are gates, and return them, (N, n, C).

    u_NC must be the mean over streams i of G[i] * v[i], with gates G and normed streams v; else None. A gate is from 0
    to 1; v[i] is x[i] / rms(x[i]) times a gain for each feature, up to the epsilon of the norm. Gates of a stream of
    zeros are set to 0.
    """
    n, samples, width = x_nNC.shape
    if len(factors) < 2 or not all(part.numel() in (n * width, samples * n * width) for part in factors):
        return None
    units_NnC = torch.nn.functional.normalize(x_nNC.detach().float(), dim=2).movedim(1, 0) * width**0.5
    one, other = (part.detach().float().reshape(-1, n, width).expand(samples, n, width) for part in factors)
    if not float(((one * other).mean(1) - u_NC.float()).norm() / u_NC.float().norm()) < tolerance:
        return None
    for gates, normed in ((one, other), (other, one)):
        gain = (normed * units_NnC).sum(0) / units_NnC.square().sum(0).clamp_min(torch.finfo(torch.float32).tiny)
        is_normed = float((normed - gain * units_NnC).norm() / normed.norm()) < NORMED
        if is_normed and float(gates.min()) >= 0 and float(gates.max()) <= 1:
            return gates * units_NnC.any(2, keepdim=True)
    return None


def read_streams(x_nNC: torch.Tensor, h_pre_Nn: torch.Tensor) -> torch.Tensor:
    """Return u = H_pre x, (N, C), in the more precise type of both."""
    wide = torch.promote_types(x_nNC.dtype, h_pre_Nn.dtype)
    return torch.einsum("bn,nbc->bc", h_pre_Nn.to(wide), x_nNC.to(wide))


def mix_streams(x_nNC: torch.Tensor, h_res_Nnn: torch.Tensor) -> torch.Tensor:
    """Return H_res x, (n, N, C), in the more precise type of both."""
    wide = torch.promote_types(x_nNC.dtype, h_res_Nnn.dtype)
    return torch.einsum("bij,jbc->ibc", h_res_Nnn.to(wide), x_nNC.to(wide))


def _list_layouts(
    shape: torch.Size, tensors: Sequence[torch.Tensor]
) -> Iterator[tuple[int | None, tuple[int, ...], int, int]]:
    """Yield the ways to interpret a state as n streams: (axis of the streams, lead, n, C)."""
    for axis in reversed(range(len(shape) - 1)):
        if shape[axis] > 1:
            yield axis, (*shape[:axis], *shape[axis + 1 : -1]), shape[axis], shape[-1]
    for x in tensors:
        if x.shape[:-1] == shape[:-1] and shape[-1] % x.shape[-1] == 0 and shape[-1] // x.shape[-1] > 1:
            yield None, tuple(shape[:-1]), shape[-1] // x.shape[-1], x.shape[-1]


def _flatten(x: torch.Tensor, *last: int) -> torch.Tensor:
    """Return a coefficient as (N, *last), or unchanged if it has no axes of samples."""
    return x if x.shape == last else x.reshape(-1, *last)

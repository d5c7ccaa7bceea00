"""Extreme singular values of a stack's Jacobian J, computed from products with vectors, without forming J.

J = d out / d x_0. x_0 (N, C) is the embedded input before it is expanded to streams, and out (N, C) is the merged
output before the final norm. J has the same size for any number of streams, so that its values can be compared.

The method is Golub-Kahan-Lanczos bidiagonalisation with full reorthogonalisation. The stack is linearised once. J^T d
is a linear function of d, whose graph is kept; differentiating it in the direction v gives J v. Both products use a
retained graph, so each costs about as much as one forward pass. Suffixes: K steps, D = N C entries.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from mhc_core.metrics import METRICS
from mhc_core.metrics.jacobian import measure_bidiagonal
from mhc_core.record.columns import to_status
from mhc_core.record.frames import JacobianFrame
from mhc_core.record.stages import Convergence
from mhc_core.rng import normal
from mhc_core.stack import Stack

Product = Callable[[torch.Tensor], torch.Tensor]
Values = dict[str, Any]  # numpy numbers and arrays by metric
CONVERGED = 0.01  # a value counts as converged if bound plus rounding is at most this, relative to the value


class Bidiagonal(NamedTuple):
    """The bidiagonal matrix B of A V = U B and A^T U = V B^T + beta[-1] v e^T: its diagonal alpha (K), and the entries
    beta (K) above it.

    mismatch (K) is |v . A^T u - u . A v| at each step, which would be 0 without rounding errors.
    """

    alpha: np.ndarray
    beta: np.ndarray
    mismatch: np.ndarray


def measure_jacobian(stack: Stack, device: torch.device) -> Iterator[JacobianFrame]:
    """Measure the `jacobian` frame of a stack on the device, after at most `spec.jacobian` pairs of products.

    Products are in the stack's dtype, the vectors at least in float32, the small bidiagonal matrix in float64.
    """
    spec = stack.spec
    start = normal(spec.seed, "jacobian", -1, spec.input.batch * spec.input.tokens, spec.width).to(device)
    with _constant_weights(stack):
        multiply, multiply_transposed = linearise(stack)
        start = start.double() if spec.dtype == "float64" else start
        found = bidiagonalise(multiply, multiply_transposed, start, spec.jacobian)
    yield _to_frame(found, start.numel())


def linearise(stack: Stack) -> tuple[Product, Product]:
    """Return the products v -> J v and u -> J^T u at the stack's own input, of (N, C) vectors in the stack's dtype."""
    x = stack.input().flatten(0, 1).detach().requires_grad_()
    out = stack.connection.reduce(stack.run_layers(stack.connection.expand(x))[0])
    d = torch.zeros_like(out, requires_grad=True)
    (pulled,) = torch.autograd.grad(out, x, d, create_graph=True)

    def multiply(v: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(pulled, d, v.to(x.dtype), retain_graph=True)[0]

    def multiply_transposed(u: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(out, x, u.to(out.dtype), retain_graph=True)[0]

    return multiply, multiply_transposed


def bidiagonalise(multiply: Product, multiply_transposed: Product, start: torch.Tensor, max_steps: int) -> Bidiagonal:
    """Bidiagonalise in up to `max_steps` steps from a start vector of any shape. The host waits for the device three
    times per step.

    It ends early if the vectors so far span the whole Krylov space of the start, because new directions would be
    rounding errors, and at the first product that is not finite.
    """
    max_steps = min(max_steps, start.numel())
    v_KD, u_KD = start.new_empty(2, max_steps, start.numel())
    v, scale, steps = start / torch.linalg.vector_norm(start), 0.0, []
    for step in range(max_steps):
        v_KD[step] = v.flatten()
        u, alpha = _split(multiply(v).to(start.dtype), u_KD[:step], scale)
        if not math.isfinite(alpha):
            steps.append((alpha, 0.0, 0.0))
            break
        u_KD[step] = u.flatten()
        back = multiply_transposed(u).to(start.dtype)
        mismatch = abs(float(torch.sum(v.double() * back.double())) - alpha)
        scale = max(scale, alpha)
        v, beta = _split(back, v_KD[: step + 1], scale)
        scale = max(scale, beta)
        steps.append((alpha, beta, mismatch))
        if beta == 0.0 or not math.isfinite(beta):
            break
    return Bidiagonal(*np.array(steps).T)


def _split(w: torch.Tensor, basis_KD: torch.Tensor, scale: float) -> tuple[torch.Tensor, float]:
    """Return the component of w that is orthogonal to the basis, as a unit vector, and its length.

    If it is only rounding error, return zeros and 0.
    """
    flat = w.flatten()
    for _ in range(2):  # after one projection, its rounding errors remain
        flat = flat - basis_KD.T @ (basis_KD @ flat)
    length = float(torch.linalg.vector_norm(flat, dtype=torch.float64))
    if length <= 10 * torch.finfo(w.dtype).eps * scale or length == 0.0:
        return torch.zeros_like(w), 0.0
    return (flat / length).view(w.shape), length


@contextmanager
def _constant_weights(stack: Stack) -> Iterator[None]:
    """Exclude the weights of a stack from gradients until the context ends, because they would double the cost."""
    learned = [parameter for parameter in stack.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


def _to_frame(found: Bidiagonal, dimension: int) -> JacobianFrame:
    """Build the Jacobian's frame from its bidiagonal matrix."""
    values = _measure_products(found)
    with np.errstate(divide="ignore", invalid="ignore"):
        log10 = {key: np.log10(value) for key, value in values.items()}
    flags = {key: to_status(float(np.max(value))) for key, value in values.items()}
    return JacobianFrame(
        values=_without_infinite(values),
        log10=_without_infinite(log10),
        status={key: flag for key, flag in flags.items() if flag},
        products=len(found.alpha),
        dimension=dimension,
        converged=Convergence(**{end: _is_converged(values, end) for end in ("sigma_max", "sigma_min")}),
    )


def _measure_products(found: Bidiagonal) -> Values:
    """Return the metrics of the Jacobian. All are inf or nan if any product is."""
    lost = sum(map(np.sum, found))
    if np.isfinite(lost):
        return {**measure_bidiagonal(found.alpha, found.beta), "jacobian_mismatch": found.mismatch.max()}
    return {key: np.float64(lost) for key, metric in METRICS.items() if metric.table == "jacobian"}


def _is_converged(values: Values, end: str) -> bool:
    """Return whether the error bound of the largest or smallest singular value (`end`) is small next to the value."""
    value, bound = values[f"jacobian_{end}"], values[f"jacobian_{end}_bound"]
    return bool(bound + values["jacobian_mismatch"] <= CONVERGED * value) and bool(np.isfinite(value))


def _without_infinite(values: Values) -> Values:
    return {key: np.where(np.isfinite(value), value, np.nan)[()] for key, value in values.items()}

"""Check whether a layer obeys its coefficients, x' = H_res x + H_post y, and find which of several matrices is H_res.

Shapes: n streams, N samples, C width.
"""

from collections.abc import Sequence

import torch

BETTER = 2.0  # factor by which the error of the right matrix must be smaller
SAME = 1e-5  # matrices whose entries differ by less are equal


def find_tolerance(*dtypes: torch.dtype, autocast: torch.dtype | None = None) -> float:
    """Return the relative error that rounding may cause: 4 eps of the least precise type, and at least 1e-5.

    With TensorFloat-32 at least 4e-3.
    """
    types = [*dtypes, *([] if autocast is None else [autocast])]
    floor = 4e-3 if torch.backends.cuda.matmul.allow_tf32 else 1e-5
    return max(floor, *(4 * torch.finfo(dtype).eps for dtype in types))


@torch.no_grad()
def measure_read_error(x_nNC: torch.Tensor, h_pre_Nn: torch.Tensor, u_NC: torch.Tensor) -> float:
    """Return the relative error ||H_pre x - u|| / ||u|| of a branch's input."""
    read = torch.einsum("bn,nbc->bc", h_pre_Nn.float(), x_nNC.float())
    return float((read - u_NC.float()).norm() / u_NC.float().norm())


@torch.no_grad()
def measure_write_error(
    x_nNC: torch.Tensor, after_nNC: torch.Tensor, y_NC: torch.Tensor, h_post_Nn: torch.Tensor, h_res_Nnn: torch.Tensor
) -> float:
    """Return the relative error ||H_res x + H_post y - x'|| / ||x'|| of the state after a layer."""
    made = torch.einsum("bij,jbc->ibc", h_res_Nnn, x_nNC) + torch.einsum("bi,bc->ibc", h_post_Nn, y_NC)
    return float((made - after_nNC).norm() / after_nNC.norm())


@torch.no_grad()
def solve_branch(
    x_nNC: torch.Tensor, after_nNC: torch.Tensor, h_post_Nn: torch.Tensor, h_res_Nnn: torch.Tensor
) -> torch.Tensor:
    """Solve x' - H_res x = H_post y for the branch's output y (N, C), by least squares."""
    written = after_nNC - torch.einsum("bij,jbc->ibc", h_res_Nnn, x_nNC)
    return torch.einsum("bi,ibc->bc", h_post_Nn / h_post_Nn.square().sum(1, keepdim=True), written)


def choose_h_res(errors_Lk: Sequence[Sequence[float]], spread: float) -> int | None:
    """Return the index of the candidate for H_res that the states of all layers obey; None if it cannot be determined.

    Parameters
    ----------
    errors_Lk: the error of each layer with each candidate.
    spread: the largest difference between entries of the candidates; below 1e-5 the first candidate is chosen.
    """
    if len(errors_Lk[0]) == 1 or spread < SAME:
        return 0
    # If the streams of a layer are equal, all candidates with equal row sums fit it, so that other layers must decide.
    totals = torch.tensor(errors_Lk, dtype=torch.float64).square().sum(0).sqrt()
    order = totals.argsort()
    return int(order[0]) if totals[order[1]] > BETTER * totals[order[0]] else None

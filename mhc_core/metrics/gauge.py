"""The gauge: mixing in another basis of the streams, such as that in which every H_res is the identity. numpy, float64.

Shapes: L layers, n streams. With x_{l+1} = H_res_l x_l + H_post_l F_l(H_pre_l x_l) and invertible S_l (n, n), the
states y_l = S_l x_l follow the same rule with

    H_pre'_l = H_pre_l S_l^-1    H_post'_l = S_{l+1} H_post_l    H_res'_l = S_{l+1} H_res_l S_l^-1

and branch inputs and outputs do not change. S_{l+1} = H_res'_l S_l H_res_l^-1 gives any wanted H_res'.
H_res' = (H_res + t I) (I + t H_res)^-1 is a path from the given mixing, t = 0, to the identity, t = 1: the fixed basis.
An eigenvalue e of H_res becomes (e + t) / (1 + t e), so that |e| = 1 stays 1: orthogonal mixing stays orthogonal on the
whole path, row and column sums of 1 stay 1, and S is then as well conditioned as possible. H_res' has an inverse at
every t unless H_res has a real eigenvalue that is not positive, other than -1. If the determinant of H_res is negative,
no path avoids that.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mhc_core.metric import OURS, Metric
from mhc_core.metrics.mixing import LOST, ROUNDING, Products, list_singular_values, unscale

if TYPE_CHECKING:
    import torch

SINGULAR = 2.0**52  # from this condition number on, an inverse is not known in float64

METRICS = (
    Metric("gauge_read_norm", "Read weights in the fixed basis", "", "log", "L", "mixing",
           "Norm of the weights with which a layer reads the streams, in the basis in which every H_res is the "
           "identity and the embedding stays as it is. Of matrices averaged over samples where mixing is dynamic. No "
           "value where rounding entries of H_res to float32 could change it by 10 % or more.",
           "||H_pre_l H_res_{l-1} ... H_res_1||_2", OURS, precision=(1e-4, 0.0), prefix=True),
    Metric("gauge_write_norm", "Write weights in the fixed basis", "", "log", "L", "mixing",
           "Norm of the weights with which a layer writes to the streams, in the same basis: large where mixing has "
           "nearly removed differences between streams that the layer writes. No value where rounding entries of H_res "
           "to float32 could change it by 10 % or more, and where H_res has no inverse, such as the uniform matrix.",
           "||(H_res_l ... H_res_1)^-1 H_post_l||_2", OURS, precision=(1e-4, 0.0), prefix=True),
    Metric("gauge_remainder", "What tokens still mix in the fixed basis", "", "log", "L", "forward",
           "How far the tokens' own H_res are from the identity, in root mean square over tokens, in the basis in "
           "which their mean is the identity. No value where rounding entries of the mean to float32 could change its "
           "inverse by 10 % or more. Dynamic mixing only.",
           "sqrt(mean_t ||H_res[t] H^-1 - I||_F^2), H = mean_t H_res[t]", OURS, precision=(1e-3, 1e-5)),
)  # fmt: skip


class Gauge(NamedTuple):
    """The bases of the streams before each layer and after the last; nan from the first one that float64 cannot
    represent.

    basis: S (L + 1, n, n). inverse: S^-1 (L + 1, n, n). h_res: H_res in these bases, (L, n, n).
    """

    basis: np.ndarray
    inverse: np.ndarray
    h_res: np.ndarray

    @property
    def condition(self) -> np.ndarray:
        """Return the largest factor by which each basis amplifies rounding, (L + 1); inf if the basis is not known.

        It is the condition number after every row is scaled to norm 1, because a factor on a row costs no digits.
        """
        with np.errstate(all="ignore"):
            norms = np.linalg.norm(self.basis, axis=2, keepdims=True)
            rows, undone = self.basis / norms, self.inverse * norms.transpose(0, 2, 1)
            found = list_singular_values(rows)[:, 0] * list_singular_values(undone)[:, 0]
        return np.where(np.isnan(found), np.inf, found)


@np.errstate(over="ignore", invalid="ignore")  # values beyond float64 become inf or nan
def find_gauge(h_res_Lnn: np.ndarray, t: float, anchor: int = 0) -> Gauge:
    """Find the gauge in which H_res is (H_res + t I) (I + t H_res)^-1.

    Parameters
    ----------
    h_res_Lnn: static mixing.
    t: 0 is the given basis; 1 is the basis in which every H_res is the identity.
    anchor: the layer before which the basis is unchanged, from 0 (default); L is after the last layer. Numbers are
        small near it.
    """
    layers, n = h_res_Lnn.shape[:2]
    eye = np.eye(n, dtype=h_res_Lnn.dtype)
    basis, inverse = (np.tile(eye, (layers + 1, 1, 1)) for _ in range(2))
    if t == 0:
        return Gauge(basis, inverse, h_res_Lnn)
    mixed = np.array([_approach_identity(h_res_nn, t) for h_res_nn in h_res_Lnn])
    for layer in range(anchor, layers):
        undone, mixed_undone = _invert(h_res_Lnn[layer]), _invert(mixed[layer])
        basis[layer + 1] = mixed[layer] @ basis[layer] @ undone
        inverse[layer + 1] = h_res_Lnn[layer] @ inverse[layer] @ mixed_undone
    for layer in reversed(range(anchor)):
        undone, mixed_undone = _invert(h_res_Lnn[layer]), _invert(mixed[layer])
        basis[layer] = mixed_undone @ basis[layer + 1] @ h_res_Lnn[layer]
        inverse[layer] = undone @ inverse[layer + 1] @ mixed[layer]
    return Gauge(basis, inverse, mixed)


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def find_identity_gauge(h_res_Lnn: np.ndarray) -> Gauge:
    """Find a gauge in which every H_res is the identity and float64 keeps its digits at any depth.

    Such gauges, S_l = S_0 (H_{l-1} ... H_0)^-1, differ by S_0 alone. If the product is ill-conditioned, S_0 = I makes
    the rows of a deep S_l nearly parallel, and rounding decides how they differ. Here every row follows one direction
    that the mixing enlarges (a covariant Lyapunov vector), and what is large or small is a factor on a row:

        S_l = E_l C_l^-1 Q_l^T    H_l Q_l = Q_{l+1} T_l    T_l C_l = C_{l+1} diag(T_l)    E_{l+1} = E_l diag(T_l)^-1

    with Q orthogonal, T and C upper triangular, E diagonal and C_L = I. Q_0 is the Q of the transposed product.
    Source: Ginelli et al., arXiv 0706.0510.

    h_res_Lnn: static mixing. All is nan if float64 does not know the inverse of a layer's H_res.
    """
    layers, n = h_res_Lnn.shape[:2]
    same = np.tile(np.eye(n), (layers, 1, 1))
    if not all(np.isfinite(_invert(h_res_nn)).all() for h_res_nn in h_res_Lnn):
        unknown = np.full((layers + 1, n, n), np.nan)
        return Gauge(unknown, unknown, same)
    turned, triangles, sheared = [np.eye(n)], [], [np.eye(n)]
    for h_res_nn in reversed(h_res_Lnn):
        turned = [np.linalg.qr(h_res_nn.T @ turned[0]).Q]
    for h_res_nn in h_res_Lnn:
        turn, triangle = np.linalg.qr(h_res_nn @ turned[-1])
        turned.append(turn)
        triangles.append(triangle)
    for triangle in reversed(triangles):
        sheared.append(np.linalg.solve(triangle, sheared[-1] * np.diag(triangle)))
    q, c = np.array(turned), np.array(sheared[::-1])
    factors = 1 / np.diagonal(triangles, axis1=1, axis2=2)
    # Each row starts at a size that keeps its largest and its smallest equally far from the limits of float64.
    exponents = np.cumsum(np.log2(np.abs(factors)), axis=0)
    start = np.exp2(-np.round((exponents.max(0) + exponents.min(0)) / 2))
    e = np.cumprod(np.vstack([start, factors]), axis=0)
    return Gauge(e[..., None] * np.linalg.solve(c, q.transpose(0, 2, 1)), q @ c / e[:, None], same)


def apply_gauge(h_pre_Ln: np.ndarray, h_post_Ln: np.ndarray, gauge: Gauge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return H_pre (L, n), H_post (L, n) and H_res (L, n, n) after a change of basis of the streams (the gauge)."""
    h_pre = (h_pre_Ln[:, None] @ gauge.inverse[:-1])[:, 0]
    return h_pre, (gauge.basis[1:] @ h_post_Ln[..., None])[..., 0], gauge.h_res


def _approach_identity(h_res_nn: np.ndarray, t: float) -> np.ndarray:
    """Return (H + t I) (I + t H)^-1, computed as I + (1 - t) (H - I) (I + t H)^-1, which is exact for H = I.

    For t = 1 it is the identity for any H. nan if the inverse is not known in float64.
    """
    eye = np.eye(len(h_res_nn))
    return eye if t == 1 else eye + (1 - t) * (h_res_nn - eye) @ _invert(eye + t * h_res_nn)


def _invert(matrix_nn: np.ndarray) -> np.ndarray:
    """Return the inverse of a matrix; nan if it is not known in float64."""
    with suppress(np.linalg.LinAlgError):
        inverse: np.ndarray = np.linalg.inv(matrix_nn)
        if np.linalg.norm(matrix_nn) * np.linalg.norm(inverse) < SINGULAR:
            return inverse
    return np.full_like(matrix_nn, np.nan)


def measure_remainder(h_res_KNnn: "torch.Tensor") -> "torch.Tensor":
    """Measure gauge_remainder (K) of samples' matrices; nan if rounding changes the inverse of their mean too much."""
    import torch

    mean_K1nn = h_res_KNnn.mean(1, keepdim=True)
    undone = torch.linalg.inv_ex(mean_K1nn).inverse  # `inv` would wait for the device in every layer
    # One product per layer: separate products of small matrices for each sample are several times slower.
    apart_KNnn = ((h_res_KNnn - mean_K1nn).flatten(1, 2) @ undone[:, 0]).view_as(h_res_KNnn)
    norm_K = torch.linalg.vector_norm(apart_KNnn, dim=(2, 3)).square().mean(1).sqrt()
    condition_K = torch.linalg.vector_norm(mean_K1nn, dim=(1, 2, 3)) * torch.linalg.vector_norm(undone, dim=(1, 2, 3))
    # nan compares as False.
    return norm_K.masked_fill_(~(condition_K * h_res_KNnn.shape[-1] * ROUNDING < LOST), torch.nan)


@np.errstate(divide="ignore")  # an edit can make a matrix 0
def measure_gauge_norms(
    h_pre_Ln: np.ndarray, h_post_Ln: np.ndarray, h_res_Lnn: np.ndarray, *, products: Products | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Measure the norms of read and write weights in the gauge with t = 1 that does not change the embedding's basis.

    Return key -> (norm, log10 of it), each (L); nan if rounding changes it by `LOST` or more, and from the first layer
    whose mixing is not finite.

    products: the products of h_res_Lnn, if other metrics need them as well; by default they are computed.
    """
    layers, products = len(h_res_Lnn), products or Products(h_res_Lnn)
    reads, writes = ((np.full(layers, np.nan), np.zeros(layers, dtype=np.int64)) for _ in range(2))
    if finite := count_finite(h_pre_Ln, h_post_Ln, h_res_Lnn):
        up_Ln, _, own_Ln = products.singular_values
        up_L, sizes_L = _to_log2(up_Ln[:, 0], products.chains[1][0]), np.log2(own_Ln[:, 0])
        # A read is multiplied by the mixing of earlier layers, a write also by that of its own layer.
        passed, before_L = h_res_Lnn[: finite - 1].transpose(0, 2, 1), np.append(0.0, up_L)
        reads[0][0] = np.linalg.norm(h_pre_Ln[0])
        found = _carry_down(h_pre_Ln[1:finite], passed, (before_L[:-1] + sizes_L)[: finite - 1], is_inverse=False)
        reads[0][1:finite], reads[1][1:finite] = found
        undone = products.inverses[:finite]
        known = len(undone)
        before_K = _to_log2(*products.inverse_sizes)[:known] + sizes_L[:known]
        writes[0][:known], writes[1][:known] = _carry_down(h_post_Ln[:known], undone, before_K, is_inverse=True)
    return {"gauge_read_norm": unscale(*reads), "gauge_write_norm": unscale(*writes)}


def count_finite(*parts: np.ndarray) -> int:
    """Count the layers before the first one with a coefficient that is not finite, in `parts`, (L, ...) each."""
    is_finite_L = np.all([np.isfinite(part.reshape(len(part), -1)).all(1) for part in parts], 0)
    return len(is_finite_L) if is_finite_L.all() else int(np.argmin(is_finite_L))


@np.errstate(divide="ignore")
def _carry_down(
    sources_Kn: np.ndarray, matrices_Knn: np.ndarray, moved_K: np.ndarray, *, is_inverse: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return ||M_0 ... M_k s_k|| of each source s_k as scaled * 2^exponent, (K) each; nan if rounding of H_res can
    change it by `LOST` or more.

    M_i is H_i or its inverse. A relative rounding r of H_i changes M_i by up to r ||H_i|| (an inverse, by up to
    M_i r ||H_i|| M_i). The change of the result is at most this, times the norm of the product before it, times the
    size of the source after it. `moved_K` is log2 of the first two factors without r: ||M_0 ... M_{i-1}|| ||H_i||, or
    for inverses ||M_0 ... M_i|| ||H_i||.
    """
    count, n = sources_Kn.shape
    scaled, exponents, lost = np.empty((n, count)), np.zeros(count, dtype=np.int64), np.full(count, -np.inf)
    for layer in reversed(range(count)):
        scaled[:, layer] = sources_Kn[layer]
        entered = slice(layer, None)
        if not is_inverse:
            source = _measure_log2(scaled, exponents, entered)
        passed = matrices_Knn[layer] @ scaled[:, entered]
        shift = np.frexp(np.abs(passed).max(0))[1]
        scaled[:, entered] = np.ldexp(passed, -shift)
        exponents[entered] += shift
        if is_inverse:
            source = _measure_log2(scaled, exponents, entered)
        lost[entered] = np.logaddexp2(lost[entered], moved_K[layer] + source)
    norms, found = np.linalg.norm(scaled, axis=0), _measure_log2(scaled, exponents, slice(None))
    with np.errstate(invalid="ignore"):  # a source of 0 has no error
        decided = lost - found + np.log2(n * ROUNDING) >= np.log2(LOST)
    return np.where(decided, np.nan, norms), exponents


def _to_log2(scaled: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """Return log2 of scaled * 2^exponents."""
    found: np.ndarray = np.log2(scaled) + exponents
    return found


def _measure_log2(scaled: np.ndarray, exponents: np.ndarray, entered: slice) -> np.ndarray:
    """Return log2 of the norm of each scaled vector, with its exponent added."""
    part = scaled[:, entered]
    found: np.ndarray = np.log2(np.sqrt((part * part).sum(0))) + exponents[entered]
    return found

"""The gauge: mixing in another basis of the streams, such as that in which every H_res is the identity. numpy, float64.

Shapes: L layers, n streams. With x_{l+1} = H_res_l x_l + H_post_l F_l(H_pre_l x_l) and invertible S_l (n, n), the
states y_l = S_l x_l follow the same rule with

    H_pre'_l = H_pre_l S_l^-1    H_post'_l = S_{l+1} H_post_l    H_res'_l = S_{l+1} H_res_l S_l^-1

and branch inputs and outputs do not change. `find_gauge` is a path of such bases from the given one, t = 0, to one in
which every H_res is the identity, t = 1. Each S_l is well conditioned, apart from a factor on each stream.
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


@np.errstate(over="ignore", divide="ignore", invalid="ignore")  # values beyond float64 become inf or nan
def find_gauge(h_res_Lnn: np.ndarray, t: float, *, keep_embedding: bool = False) -> Gauge:
    """Find the gauge at position t of a path on which outputs stay the same to rounding at any depth.

    Streams are first turned until every H_res is upper triangular (t = 1/2), then sheared until it is diagonal
    (t = 3/4), then scaled until it is the identity (t = 1):

        S_l = E_l C_l^-1 Q_l^T    H_l Q_l = Q_{l+1} T_l    T_l C_l = C_{l+1} diag(T_l)    E_{l+1} = E_l diag(T_l)^-1

    with Q a rotation, T and C upper triangular, C_L = I and E diagonal. Q, C and E move one after the other from I to
    these values: Q as in `_turn`, C on a straight line, E by its logarithm. Rows of S follow the directions that mixing
    enlarges (covariant Lyapunov vectors), so that rounding is not amplified by what mixing does to other directions.
    Orthogonal mixing stays orthogonal.

    If the determinant of H_l is negative, no continuous path leads to the identity: the last stream is scaled by a
    negative number up to t = 3/4, and by a positive one after it.
    Source: Ginelli et al., arXiv 0706.0510.

    Parameters
    ----------
    h_res_Lnn: static mixing. Results are nan from the first layer whose inverse float64 does not know.
    t: 0 is the given basis.
    keep_embedding: whether, from t = 3/4 on, all layers are multiplied by one matrix that moves from I to S_0^-1, so
        that at t = 1 the basis of the embedding is the given one. If the product of many layers is ill-conditioned,
        rounding is then amplified. Default: False.
    """
    layers, n = h_res_Lnn.shape[:2]
    basis, inverse = (np.tile(np.eye(n), (layers + 1, 1, 1)) for _ in range(2))
    if t == 0:
        return Gauge(basis, inverse, h_res_Lnn)
    full_q, full_c, triangles = _find_directions(h_res_Lnn)
    known = len(triangles)
    turned, sheared, scaled = (min(max(part, 0.0), 1.0) for part in (2 * t, 4 * t - 2, 4 * t - 3))
    q, c = _turn(full_q, turned), _shear(full_c, sheared)
    rates = np.diagonal(triangles, axis1=1, axis2=2)
    e = _scale(rates, scaled, is_centred=not keep_embedding)
    basis[:] = inverse[:] = np.nan
    basis[: known + 1] = e[..., None] * np.linalg.solve(c, q.transpose(0, 2, 1))
    inverse[: known + 1] = q @ c / e[:, None]
    mixed = np.tile(np.eye(n) if t == 1 else np.full((n, n), np.nan), (layers, 1, 1))
    if turned < 1:
        mixed[:known] = q[1:].transpose(0, 2, 1) @ h_res_Lnn[:known] @ q[:-1]
    else:
        above = triangles - rates[..., None] * np.eye(n)
        scales = np.abs(rates) ** (1 - scaled) if scaled else rates
        mixed[:known] = scales[..., None] * np.eye(n) + (1 - sheared) * np.linalg.solve(c[1:], above)
    if keep_embedding and scaled:
        q_0, c_0 = _turn(full_q[0], scaled), _shear(full_c[0], scaled)
        back, forth = q_0 @ c_0, np.linalg.solve(c_0, q_0.T)
        basis, inverse = back @ basis, inverse @ forth
        mixed = np.eye(n) + back @ (mixed - np.eye(n)) @ forth
    return Gauge(basis, inverse, mixed)


def _find_directions(h_res_Lnn: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find Q (K + 1, n, n), C (K + 1, n, n) and T (K, n, n) of `find_gauge` for the first K layers, whose inverses
    float64 knows. Q_0 is the Q of the transposed product.
    """
    is_known_L = [bool(np.isfinite(_invert(h_res_nn)).all()) for h_res_nn in h_res_Lnn]
    h_res_Knn = h_res_Lnn[: [*is_known_L, False].index(False)]
    eye = np.eye(h_res_Lnn.shape[-1])
    turns, triangles, shears = [eye], [], [eye]
    for h_res_nn in reversed(h_res_Knn):
        turns = [_factor(h_res_nn.T @ turns[0])[0]]
    for h_res_nn in h_res_Knn:
        turn, triangle = _factor(h_res_nn @ turns[-1])
        turns.append(turn)
        triangles.append(triangle)
    for triangle in reversed(triangles):
        shears.append(np.linalg.solve(triangle, shears[-1] * np.diag(triangle)))
    return np.array(turns), np.array(shears[::-1]), np.array(triangles).reshape(h_res_Knn.shape)


def _factor(matrix_nn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a rotation Q and an upper triangular T with Q T = matrix. Only T's last entry can be negative on its
    diagonal.
    """
    q, triangle = np.linalg.qr(matrix_nn)
    signs = np.where(np.diag(triangle) < 0, -1.0, 1.0)
    signs[-1] = np.sign(np.linalg.det(q)) * signs[:-1].prod()
    return q * signs, triangle * signs[:, None]


def _turn(q: np.ndarray, share: float) -> np.ndarray:
    """Return a rotation on the way from I, share 0, to Q, share 1.

    Q is a product of rotations in the planes of two streams each. All turn by this share of their angles.
    """
    if share == 1:
        return q
    n = q.shape[-1]
    rest, turned = q.copy(), np.tile(np.eye(n), (*q.shape[:-2], 1, 1))
    for j, i in zip(*np.triu_indices(n, 1), strict=True):
        angle = np.arctan2(rest[..., i, j], rest[..., j, j])
        rest[..., [j, i], :] = _rotate_plane(-angle) @ rest[..., [j, i], :]
        turned[..., [j, i]] = turned[..., [j, i]] @ _rotate_plane(share * angle)
    return turned


def _rotate_plane(angle: np.ndarray) -> np.ndarray:
    """Return rotations of the plane (..., 2, 2) by these angles (...)."""
    return np.moveaxis(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), (0, 1), (-2, -1))


def _shear(c: np.ndarray, share: float) -> np.ndarray:
    """Return the shear of the basis at a share of its way: on the straight line from I, share 0, to C, share 1."""
    eye = np.eye(c.shape[-1])
    return eye + share * (c - eye)


def _scale(rates_Kn: np.ndarray, share: float, *, is_centred: bool) -> np.ndarray:
    """Return E (K + 1, n) on the way from I, share 0, to the inverse of the product of all earlier rates, share 1.

    is_centred: whether each stream starts at a size that keeps its largest and its smallest factor equally far from the
        limits of float64, instead of at 1.
    """
    start = np.ones((1, rates_Kn.shape[1]))
    if share == 0:
        return np.repeat(start, len(rates_Kn) + 1, axis=0)
    if is_centred and len(rates_Kn):
        exponents = np.cumsum(np.log2(np.abs(rates_Kn)), axis=0)
        start = np.exp2(share * np.round((exponents.max(0) + exponents.min(0)) / 2))[None]
    return np.cumprod(np.vstack([start, np.sign(rates_Kn) * np.abs(rates_Kn) ** -share]), axis=0)


def apply_gauge(h_pre_Ln: np.ndarray, h_post_Ln: np.ndarray, gauge: Gauge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return H_pre (L, n), H_post (L, n) and H_res (L, n, n) after a change of basis of the streams (the gauge)."""
    h_pre = (h_pre_Ln[:, None] @ gauge.inverse[:-1])[:, 0]
    return h_pre, (gauge.basis[1:] @ h_post_Ln[..., None])[..., 0], gauge.h_res


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

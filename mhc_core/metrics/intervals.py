"""The product of H_res over any interval of layers, with its sums and gains. numpy, float64."""

from dataclasses import dataclass

import numpy as np

from mhc_core.metrics.mixing import composite, measure_composites, unscale

# A value (inf or 0 beyond the range of float64), and its log10, which is also known there.
Magnitude = tuple[float, float]


@dataclass(frozen=True)
class Composite:
    """The product H_last ... H_first.

    Attributes
    ----------
    matrix: (n, n). The product is this matrix times 10^scale_log10; the same holds for the sums.
    row_sums, col_sums: (n).
    scale_log10: 0, unless an entry is beyond the range of float64.
    gain_fwd, gain_bwd: largest |row sum| and largest |column sum|.
    sigma2: how much of the differences between streams is kept; None for one stream.
    ds_error: deviation from doubly stochastic.
    """

    matrix: np.ndarray
    row_sums: np.ndarray
    col_sums: np.ndarray
    scale_log10: float
    gain_fwd: Magnitude
    gain_bwd: Magnitude
    sigma2: Magnitude | None
    ds_error: Magnitude


def multiply_interval(h_res_Lnn: np.ndarray, first: int, last: int) -> Composite:
    """Return the product of H_res of layers `first` to `last`, both inclusive and counted from 0."""
    matrices_Lnn = h_res_Lnn.astype(np.float64)
    scaled, exponent = composite(matrices_Lnn, first, last)
    value, _ = unscale(scaled, np.asarray(exponent))
    lies_in_range = np.isfinite(value).all() and (value.any() or not scaled.any())
    shown = value if lies_in_range else scaled
    columns = measure_composites(matrices_Lnn[first : last + 1])
    return Composite(
        matrix=shown,
        row_sums=shown.sum(1),
        col_sums=shown.sum(0),
        scale_log10=0.0 if lies_in_range else float(exponent * np.log10(2.0)),
        gain_fwd=_to_magnitude(columns["composite_gain_fwd"], -1),
        gain_bwd=_to_magnitude(columns["composite_gain_bwd"], 0),
        sigma2=_to_magnitude(columns["composite_sigma2"], -1) if "composite_sigma2" in columns else None,
        ds_error=_measure_ds_error(value),
    )


def _measure_ds_error(matrix: np.ndarray) -> Magnitude:
    """Return the deviation of a matrix from doubly stochastic: the largest of a sum or entry, and its log10."""
    deviation = np.concatenate([(matrix.sum(0) - 1), (matrix.sum(1) - 1)])
    error = max(np.abs(deviation).max(), -matrix.min())
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(error), float(np.log10(error))


def _to_magnitude(column: tuple[np.ndarray, np.ndarray], place: int) -> Magnitude:
    """Return value and log10 of one entry of a column."""
    value, log10 = column
    return float(value[place]), float(log10[place])

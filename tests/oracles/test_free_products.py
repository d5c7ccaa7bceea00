"""What a drift of free mixing means: the gain of products of I + s G, G with N(0, 1) entries, in plain numpy."""

import numpy as np
import pytest

from mhc_core.theory.drift import sample_drift_gain

pytestmark = pytest.mark.full

LAYERS, STREAMS, DRAWS = 60, 4, 2000  # the mHC paper's 27B model has 60 layers and 4 streams
PAPERS_GAIN = 3000  # of HC at 27B, at its largest


def draw_largest_gains(drift: float, seed: int = 0) -> np.ndarray:
    """The largest forward gain over depth, max |row sum| of the product so far, in each draw of all layers."""
    generator = np.random.default_rng(seed)
    product = np.tile(np.eye(STREAMS), (DRAWS, 1, 1))
    largest = np.zeros(DRAWS)
    for _ in range(LAYERS):
        noise = generator.standard_normal((DRAWS, STREAMS, STREAMS))
        product = (np.eye(STREAMS) + drift * noise) @ product
        largest = np.maximum(largest, np.abs(product.sum(2)).max(1))
    return largest


# The median of 2000 draws has a standard error of about 6 %.
@pytest.mark.parametrize(("drift", "median"), [(0.30, 470), (0.34, 2100), (0.36, 4900)])
def test_the_median_gain_of_sixty_free_matrices(drift: float, median: float) -> None:
    assert np.median(draw_largest_gains(drift)) == pytest.approx(median, rel=0.2)


def test_a_drift_of_0_35_reaches_the_gain_that_the_paper_reports_and_0_3_does_not() -> None:
    """The drift at which half of the draws reach 3000 rounds to 0.35."""
    assert np.median(draw_largest_gains(0.34)) < PAPERS_GAIN < np.median(draw_largest_gains(0.355))
    assert np.median(draw_largest_gains(0.30)) < PAPERS_GAIN / 4


def test_the_products_law_draws_the_same_gains() -> None:
    """`sample_drift_gain` draws vectors in place of matrices."""
    ours = np.exp(np.median(sample_drift_gain(STREAMS, 0.35, LAYERS).max(0)))
    assert ours == pytest.approx(np.median(draw_largest_gains(0.35)), rel=0.2)

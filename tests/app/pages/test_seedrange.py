"""The range of gains over seeds that the page draws from the law, against products of matrices drawn here."""

import json
import subprocess

import numpy as np
import pytest

from tests.app.pages.test_derived import find_node
from tests.conftest import ROOT

SCRIPT = """
import { countDraws, createGainSampler, createNormal, toPercentiles } from './static/js/derived/seedrange.js';
const law = JSON.parse(process.argv[1]);
const draw = createGainSampler(law, createNormal(1));
const gains = Array.from({ length: countDraws(law) }, draw);
console.log(JSON.stringify({ draws: gains.length, ends: gains.length ? toPercentiles(gains, [0.05, 0.5, 0.95]) : [] }));
"""
LEVELS = [0.05, 0.5, 0.95]


def draw_in_page(law: dict[str, object]) -> tuple[int, list[float]]:
    """How many draws the page affords, and log10 of its percentiles."""
    command = [find_node(), "--input-type=module", "--eval", SCRIPT, json.dumps(law)]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return found["draws"], found["ends"]


def draw_products(n: int, layers: int, noise: float, initial: np.ndarray, draws: int = 4000) -> np.ndarray:
    """log10 of the same percentiles, of whole matrices that are multiplied."""
    drawn = np.random.default_rng(7)
    product = np.broadcast_to(np.eye(n), (draws, n, n))
    most = np.zeros(draws)
    for _ in range(layers):
        product = (initial + noise * drawn.standard_normal((draws, n, n))) @ product
        most = np.maximum(most, np.abs(product.sum(axis=2)).max(axis=1))
    return np.quantile(np.log10(most), LEVELS)


@pytest.mark.parametrize(
    ("n", "layers", "noise", "initial"),
    [
        (4, 64, 0.3, np.eye(4)),
        (2, 8, 1.0, np.eye(2)),
        (8, 32, 0.1, np.eye(8)),
        (3, 20, 0.2, np.array([[0.8, 0.1, 0.1], [0.3, 0.9, -0.2], [0.0, 0.5, 0.5]])),
    ],
)
def test_percentiles_are_those_of_products_of_matrices(n: int, layers: int, noise: float, initial: np.ndarray) -> None:
    draws, ends = draw_in_page({"n": n, "layers": layers, "noise": noise, "initial": initial.ravel().tolist()})
    assert draws >= 400
    # A tenth of a decade: several standard errors of 4000 draws at the ends of the range.
    assert np.allclose(ends, draw_products(n, layers, noise, initial), atol=0.1)


def test_the_default_reaches_from_a_few_tens_to_above_ten_thousand() -> None:
    _, ends = draw_in_page({"n": 4, "layers": 64, "noise": 0.3, "initial": np.eye(4).ravel().tolist()})
    low, median, high = (10**end for end in ends)
    assert 20 < low < 30
    assert 600 < median < 750
    assert 13_000 < high < 22_000


def test_a_gain_beyond_a_double_is_known_by_its_logarithm() -> None:
    _, ends = draw_in_page({"n": 4, "layers": 512, "noise": 10.0, "initial": np.eye(4).ravel().tolist()})
    assert all(400 < end < 1000 for end in ends)


def test_nothing_is_drawn_where_it_would_take_long() -> None:
    law = {"n": 16, "layers": 1024, "noise": 0.3, "initial": np.full((16, 16), 0.1).ravel().tolist()}
    assert draw_in_page(law) == (0, [])

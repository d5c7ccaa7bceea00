"""Maps of layer against layer: effective skip connections on their scales, CKA, and where both end."""

from dataclasses import replace

import numpy as np
import pytest

from mhc_core import figures
from mhc_core.figures.scales import signed_log_scale, to_signed_log
from tests.core.figures.filled import LABELS, decode_result, encode_lines


def _unfolded(view: str, comparison: str = "one stream") -> list[np.ndarray]:
    """The maps that the panel draws, run by run."""
    results = [decode_result(part) for part in encode_lines(comparison)]
    drawn = figures.figure("unfolded", list(results), LABELS, 0, "dark", view)
    return [np.asarray(trace.z, dtype=np.float64) for trace in drawn.data]


@pytest.mark.parametrize(("view", "one"), [("linear", 1.0), ("log", np.log10(2))])
def test_a_residual_stack_unfolds_to_ones_and_a_plain_one_to_its_diagonal(view: str, one: float) -> None:
    residual, plain = _unfolded(view)
    future = np.triu(np.full((6, 6), np.nan), 1)  # what no layer can read yet is left blank
    np.testing.assert_allclose(residual, one * np.tri(6) + future, rtol=1e-6)
    np.testing.assert_allclose(plain, one * np.eye(6) + future, rtol=1e-6)


def test_the_logarithmic_scale_gives_back_the_weights() -> None:
    for linear, log in zip(_unfolded("linear", "three"), _unfolded("log", "three"), strict=True):
        known = np.isfinite(linear)
        assert (np.isfinite(log) == known).all()
        np.testing.assert_allclose(np.sign(log[known]) * (10 ** np.abs(log[known]) - 1), linear[known], atol=1e-6)


@pytest.mark.parametrize(
    ("largest", "texts", "weights"),
    [
        (0.3, ["0.5"], [0.5]),
        (np.log10(2), ["0.5", "1"], [0.5, 1.0]),
        (np.log10(5.9), ["2", "4"], [2.0, 4.0]),
        (1.7, ["1", "10"], [1.0, 10.0]),
        (3.2, ["10<sup>2</sup>"], [100.0]),
        (38.0, ["10<sup>20</sup>"], [1e20]),
    ],
)
def test_ticks_of_the_logarithmic_scale_stand_at_their_weights(
    largest: float, texts: list[str], weights: list[float]
) -> None:
    scale = signed_log_scale(largest)
    bar, count = scale["colorbar"], len(texts)
    assert (scale["cmin"], scale["cmax"]) == (-largest, largest)
    assert bar["ticktext"] == [*(f"−{text}" for text in reversed(texts)), "0", *texts]
    np.testing.assert_allclose(bar["tickvals"][-count:], to_signed_log(weights), rtol=1e-9)
    np.testing.assert_allclose(bar["tickvals"], -np.array(bar["tickvals"][::-1]))


def test_rows_that_have_left_their_range_are_named() -> None:
    results = [decode_result(part) for part in encode_lines("overflow")]
    drawn = figures.figure("unfolded", list(results), LABELS, 0, "dark")
    first = min(results[0].status["unfolded"])
    assert drawn.layout.meta["remarks"][0] == f"A Residual: overflow from layer {first + 1} on"


@pytest.mark.parametrize("difference", [False, True], ids=["as it is", "difference"])
def test_a_map_of_cka_says_where_and_why_it_ends(difference: bool) -> None:
    results = [decode_result(encode_lines(comparison)[0]) for comparison in ("three", "overflow")]
    cka, status = results[1].matrices["cka"], results[1].status["act_rms_streams"]
    first = int(np.isnan(cka).all(1).argmax())
    assert first > 0
    assert status[first] == "overflow"
    drawn = figures.figure("cka", list(results), LABELS, 0, "light", difference=difference)
    (said,) = drawn.layout.meta["remarks"]
    assert said.startswith("B HC")
    assert said.endswith(f": overflow from layer {first + 1} on")
    assert drawn.layout.title.subtitle.text == said
    whole = figures.figure(
        "cka", [decode_result(part) for part in encode_lines("three")], LABELS, 0, "light", difference=difference
    )
    assert not whole.layout.meta["remarks"]


def test_cka_is_shown_with_its_estimator_and_the_biased_one_with_its_number_of_samples() -> None:
    results = [decode_result(lines) for lines in encode_lines("estimators")]
    figure = figures.figure("cka", list(results), ["A", "B"], 0, "dark")
    assert [trace.name for trace in figure.data] == ["A · biased, N = 16", "B · unbiased"]
    for result in results:
        result.add(replace(result.start, cka=None))  # as in runs that were stored before there was a choice
    figure = figures.figure("cka", list(results), ["A", "B"], 0, "dark")
    assert [trace.name for trace in figure.data] == ["A", "B"]

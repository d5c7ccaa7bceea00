"""The paper's models on paper, against sums done by hand and against what the paper prints."""

import pytest

from mhc_core.cost.paper_models import SHAPES, count_traffic, paper_shapes


def test_the_27b_model_by_hand() -> None:
    (model,) = (model for model in paper_shapes().models if model.shape.name == "27B")
    # 30 blocks: four 2560 x 2560 matrices, 74 or 8 experts of three 2560 x 1536 ones, a router of 2560 x 72.
    assert model.counted_total == 30 * (26_214_400 + 74 * 11_796_480 + 184_320)
    assert model.counted_active == 30 * (26_214_400 + 8 * 11_796_480 + 184_320)
    # mHC, 60 layers: phi of 10240 x 24, 24 biases, 3 gates; HC: 2560 x 6, 24 static coefficients, 2 scales.
    assert model.mhc.parameters == 60 * (245_760 + 27)
    assert model.hc.parameters == 60 * (15_360 + 26)
    # Per token and layer: 2 x 245760 projected, 2 x 2560 x 24 mixed, 20 rounds of 4 x 16.
    assert model.mhc.flops == 60 * (491_520 + 122_880 + 1_280)
    assert model.hc.flops == 60 * (122_880 + 122_880)
    # 18 C + 48 values against 3 C, two bytes each.
    assert model.mhc.traffic_bytes == 2 * 60 * (18 * 2560 + 48)
    assert model.recompute_every == pytest.approx(6.3246, abs=1e-4)


def test_the_count_explains_the_printed_totals() -> None:
    for model in paper_shapes().models:
        # What we leave out (embedding, read-out, norms) is a larger share of small models.
        assert 0.93 < model.counted_total / model.shape.printed_total <= 1.0, model.shape.name
        assert model.counted_active < model.shape.printed_active


def test_arithmetic_is_nearly_free_and_traffic_is_not() -> None:
    for model in paper_shapes().models:
        assert model.hc.flops_ratio < model.mhc.flops_ratio < 0.03
        assert model.hc.traffic_ratio == pytest.approx(34 / 3, rel=0.01)
        assert model.mhc.traffic_ratio == pytest.approx(6, rel=0.01)


def test_traffic_is_the_sum_over_the_operators() -> None:
    """Unfused, one operator after the other, as (read, written)."""
    for n in (2, 4, 8):
        width = SHAPES[0].width
        coefficients = (n * width, n * n + 2 * n)
        pre, post, res = (n * width + n, width), (width + n, n * width), (n * width + n * n, n * width)
        merge = (2 * n * width, n * width)
        operators = (coefficients, pre, post, res, merge)
        assert count_traffic("hc", width, n) == tuple(map(sum, zip(*operators, strict=True)))
        # Fused: the branch output and the streams are read once, the streams written once.
        fused = (coefficients, pre, ((n + 1) * width + n + n * n, n * width))
        assert count_traffic("mhc", width, n) == tuple(map(sum, zip(*fused, strict=True)))

"""The paper's models on paper, against sums done by hand and against what the paper prints."""

import pytest

from mhc_core.cost.paper_models import SHAPES, Shape, count_fused_traffic, count_memory_traffic, paper_shapes


def test_the_27b_model_by_hand() -> None:
    (model,) = (model for model in paper_shapes().models if model.shape.name == "27B")
    # 2560 to 32 x 192 queries and to 512 + 64, 512 to 32 x 256 keys and values, 32 x 128 back to 2560.
    attention = 15_728_640 + 1_474_560 + 4_194_304 + 10_485_760
    # Three 2560 x 1536 matrices an expert, a router of 2560 x 72, 129280 x 2560 of vocabulary.
    expert, router, vocabulary = 11_796_480, 184_320, 330_956_800
    rest = 30 * attention + 8 * expert
    assert model.counted_total == rest + 29 * (74 * expert + router) + 2 * vocabulary
    assert model.counted_active == rest + 29 * (8 * expert + router) + vocabulary
    # mHC, 60 layers: phi of 10240 x 24, 24 biases, 3 gates; HC: 2560 x 6, 24 static coefficients, 2 scales.
    assert model.mhc.parameters == 60 * (245_760 + 27)
    assert model.hc.parameters == 60 * (15_360 + 26)
    # Per token and layer: 2 x 245760 projected, 2 x 2560 x 24 mixed, 20 rounds of 4 x 16.
    assert model.mhc.flops == 60 * (491_520 + 122_880 + 1_280)
    assert model.hc.flops == 60 * (122_880 + 122_880)
    # 18 C + 48 values against 3 C, two bytes each.
    assert model.mhc.traffic_bytes == 2 * 60 * (18 * 2560 + 48)
    assert model.recompute_every == pytest.approx(6.3246, abs=1e-4)


def test_the_count_explains_what_is_printed() -> None:
    """Within what the docstring of `paper_models` says; the paper prints three digits."""
    for model in paper_shapes().models:
        assert model.counted_total == pytest.approx(model.shape.printed_total, rel=2e-3), model.shape.name
        assert model.counted_active == pytest.approx(model.shape.printed_active, rel=5e-3), model.shape.name


def test_vocabulary_is_what_is_printed() -> None:
    printed = {"3B": 331e6, "9B": 496e6, "27B": 662e6}
    assert {shape.name: round(2 * shape.vocabulary, -6) for shape in SHAPES} == printed


def test_the_same_count_is_right_for_deepseek_v2_lite() -> None:
    """15.7B parameters, 2.4B of them active (arXiv 2405.04434, appendix B); its vocabulary and dense layer differ."""
    shape = Shape(name="V2-Lite", blocks=27, width=2048, heads=16, expert_width=1408, routed_experts=64,
                  printed_total=15.7e9, printed_active=2.4e9)  # fmt: skip
    vocabulary = 102_400 * 2048
    dense = 3 * 2048 * (10_944 - 8 * 1408)
    assert shape.count_parameters(66, 0) + dense + 2 * vocabulary == pytest.approx(15.7e9, rel=1e-3)
    assert shape.count_parameters(8, 0) + dense + vocabulary == pytest.approx(2.4e9, rel=0.025)


def test_arithmetic_is_nearly_free_and_traffic_is_not() -> None:
    for model in paper_shapes().models:
        assert model.hc.flops_ratio < model.mhc.flops_ratio < 0.01
        assert model.hc.traffic_ratio == pytest.approx(34 / 3, rel=0.01)
        assert model.mhc.traffic_ratio == pytest.approx(6, rel=0.01)


def test_reads_with_the_h_pre_of_the_layer_before_save_one_pass_over_the_streams() -> None:
    for n in (1, 2, 4, 8):
        own, previous = (sum(count_fused_traffic(10, n, own_reads=own)) for own in (True, False))
        assert (own, previous) == (10 * (3 * n + 2), 10 * (2 * n + 2))
    assert paper_shapes().single_pass_ratio == pytest.approx(10 / 14)


def test_traffic_is_the_sum_over_the_operators() -> None:
    """Unfused, one operator after the other, as (read, written)."""
    for n in (2, 4, 8):
        width = SHAPES[0].width
        coefficients = (n * width, n * n + 2 * n)
        pre, post, res = (n * width + n, width), (width + n, n * width), (n * width + n * n, n * width)
        merge = (2 * n * width, n * width)
        operators = (coefficients, pre, post, res, merge)
        assert count_memory_traffic("hc", width, n) == tuple(map(sum, zip(*operators, strict=True)))
        # Fused: the branch output and the streams are read once, the streams written once.
        fused = (coefficients, pre, ((n + 1) * width + n + n * n, n * width))
        assert count_memory_traffic("mhc", width, n) == tuple(map(sum, zip(*fused, strict=True)))

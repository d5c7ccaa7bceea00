"""Sound implementations of others are accused of nothing."""

import pytest
from torch import nn

from mhc_probe.conformance import check
from tests.probe.conformance.elsewhere import SOUND, build_deepseek_v4, build_glm5_next, draw, write_untransposed
from tests.probe.conformance.plain import STREAMS, WIDTH

pytestmark = pytest.mark.full

# Lines that hold where module and `write` are given.
ALWAYS = {"mixing applied", "mixing backward", "token axis", "timing", "dynamic part", "norm", "gradients"}
MHC = {"exp", "rows", "columns", "rounds", "eps", "range of H_pre", "range of H_post", "bias", "gate", "precision"}


@pytest.mark.parametrize("name", SOUND)
def test_none_is_accused(name: str) -> None:
    sound = SOUND[name]
    report = check(sound.build(), **sound.options)
    assert report.passed, str(report)
    assert {one.name for one in report.checks if one.verdict == "design"} == sound.designs
    held = {one.name for one in report.checks if one.verdict == "holds"}
    if "alone" not in name:
        assert held >= ALWAYS, str(report)
    if sound.options.get("family", "mhc") == "mhc":
        assert held >= MHC | {"reference"}, str(report)


@pytest.mark.parametrize("build", [build_deepseek_v4, build_glm5_next])
def test_a_port_that_forgets_to_transpose_is_named(build: type[nn.Module]) -> None:
    report = check(build(), write=write_untransposed)
    assert [one.name for one in report.failures] == ["orientation"], str(report)
    assert "applied transposed" in report["orientation"].measured


def test_coefficients_alone_say_how_to_apply_them() -> None:
    assert "must do so transposed" in check(build_deepseek_v4())["orientation"].statement


def test_a_connection_is_found_in_a_model() -> None:
    from transformers.models.deepseek_v4.configuration_deepseek_v4 import DeepseekV4Config
    from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4HyperConnection

    config = DeepseekV4Config(hidden_size=WIDTH, hc_mult=STREAMS, num_hidden_layers=1)
    blocks = [nn.Sequential(nn.Linear(5, WIDTH), DeepseekV4HyperConnection(config)) for _ in range(3)]
    report = check(draw(nn.ModuleList(blocks)))
    assert report.subject == "DeepseekV4HyperConnection"
    assert report.passed, str(report)
    assert report["sharing"].statement.startswith("3 connections")


def test_a_family_that_does_not_fit_is_not_passed() -> None:
    for name in ("HY-V4", "Qwen4-Exp", "lucidrains' HC"):
        sound = SOUND[name]
        assert not check(sound.build(), **{**sound.options, "family": "mhc"}).passed, name
    assert not check(SOUND["lucidrains' mHC"].build(), "hc").passed

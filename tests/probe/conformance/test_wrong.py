"""Every wrong implementation fails, and the check that is about its mistake says so."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from mhc_probe.conformance import check
from tests.probe.conformance.elsewhere import build_deepseek_v4
from tests.probe.conformance.plain import Added, PlainMHC
from tests.probe.conformance.wrong import (
    APPLICATION,
    COEFFICIENTS,
    ENDS,
    GRADIENTS,
    SINKHORN,
    WRONG,
    FollowsState,
    scale_gradient,
)


class TakesBranch(nn.Module):
    """The same module, called with the branch."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor, branch: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        u, write = self.inner(x)
        written: torch.Tensor = write(branch(u))
        return written


class FlatStreams(nn.Module):
    """The same module with streams (B, T, n C)."""

    def __init__(self, inner: PlainMHC) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Added]:
        u, write = self.inner(x.unflatten(-1, (self.inner.n, -1)))
        return u, lambda y: write(y).flatten(2)


def test_there_are_forty_and_more() -> None:
    assert len(MODULES | ENDS) >= 40


MODULES = APPLICATION | COEFFICIENTS | SINKHORN | GRADIENTS
# One mistake for each check.
FIRST = {wrong.check: name for name, wrong in reversed(WRONG.items())}


@pytest.mark.sample(10)
@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = WRONG[name]
    module = wrong.build if wrong.check == "sharing" else wrong.build()
    report = check(module, **wrong.options)
    failed = {failure.name for failure in report.failures}
    assert wrong.check in failed, str(report)
    assert failed <= {wrong.check} | wrong.others, str(report)
    for failure in report.failures:
        assert failure.expected, failure
        assert failure.measured, failure
        assert failure.likely, failure
        assert failure.reproduce, failure
        if name in FIRST.values() and wrong.check != "sharing":
            exec(failure.reproduce, {"module": module, **wrong.options})
            assert capsys.readouterr().out, failure
    assert any(LIKELY.get(name, "") in failure.likely for failure in report.failures), str(report)


LIKELY = {
    "branch added before the mixing": "added before the mixing",
    "branch reads after the mixing": "reads the streams after the mixing",
    "one mean H_post for all streams": "a mean or another map over streams",
    "bias inside the gate": "the gate multiplies the bias too",
    "straight-through Sinkhorn": "a straight-through estimate",
    "branch gradient scaled by 1.02": "a gradient that is scaled",
    "coefficients from x.detach()": "coefficients computed from a detached state",
}


# What finds a mistake sees the module through its adapter: a mistake of a third of the checks in each form.
@pytest.mark.full
@pytest.mark.parametrize("form", [TakesBranch, FlatStreams])
@pytest.mark.parametrize("name", [name for name in FIRST.values() if name in MODULES][::6])
def test_a_mistake_is_found_however_the_module_is_called(name: str, form: Callable[[nn.Module], nn.Module]) -> None:
    assert not check(form(WRONG[name].build()), **WRONG[name].options).passed


def write_before_mixing(x: torch.Tensor, y: torch.Tensor, post: torch.Tensor, comb: torch.Tensor) -> torch.Tensor:
    return comb.mT @ (x + post.unsqueeze(-1) * y.unsqueeze(-2))


def write_by_the_mean(x: torch.Tensor, y: torch.Tensor, post: torch.Tensor, comb: torch.Tensor) -> torch.Tensor:
    return comb.mT @ x + post.mean(-1, keepdim=True).unsqueeze(-1) * y.unsqueeze(-2)


def write_a_scaled_gradient(x: torch.Tensor, y: torch.Tensor, post: torch.Tensor, comb: torch.Tensor) -> torch.Tensor:
    return comb.mT @ x + post.unsqueeze(-1) * scale_gradient(y, 1.02).unsqueeze(-2)


def write_detached_streams(x: torch.Tensor, y: torch.Tensor, post: torch.Tensor, comb: torch.Tensor) -> torch.Tensor:
    return comb.mT @ x.detach() + post.unsqueeze(-1) * y.unsqueeze(-2)


@pytest.mark.full
@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_before_mixing, "bias"),
        (write_by_the_mean, "bias"),
        (write_a_scaled_gradient, "branch backward"),
        (write_detached_streams, "mixing backward"),
    ],
)
def test_a_mistake_in_what_applies_the_coefficients_of_deepseek_v4_is_named(
    write: Callable[..., torch.Tensor], name: str
) -> None:
    report = check(build_deepseek_v4(), write=lambda x, y, returned: write(x, y, *returned[:2]))
    assert [failure.name for failure in report.failures] == [name], str(report)


@pytest.mark.full
def test_layers_that_share_a_parameter_are_named() -> None:
    shared = WRONG["layers share their projection"].build
    report = check(shared)
    assert [one.name for one in report.failures] == ["sharing"], str(report)
    assert "phi" in report["sharing"].measured
    assert [one.name for one in check(nn.Sequential(shared(), shared())).failures] == ["sharing"]
    one = PlainMHC()
    assert "sharing" in {one.name for one in check(nn.ModuleList([one, one])).failures}
    assert check(PlainMHC)["sharing"].verdict == "holds"


@pytest.mark.full
def test_a_mapping_that_follows_its_state_is_a_design_in_float32() -> None:
    report = check(FollowsState())
    assert report.passed
    assert report["precision in bfloat16"].verdict == "design"


class RoundsOfAnotherKind(PlainMHC):
    """Doubly stochastic, but by no law that the check knows, and so that no other check is about it."""

    def project(self, t: torch.Tensor) -> torch.Tensor:
        matrix = super().project(t)
        return matrix + 0.002 * (1 - 2 * (torch.arange(self.n) % 2)).outer(1 - 2 * (torch.arange(self.n) % 2))


def test_what_cannot_be_measured_fails_once() -> None:
    report = check(RoundsOfAnotherKind())
    assert not report.passed, str(report)
    (failure,) = (one for one in report.failures if one.expected == "a measurement")
    assert "no law explains H_res" in failure.measured
    assert "skipped" in {one.verdict for one in report.checks}


@pytest.mark.full
def test_an_error_of_the_backward_pass_is_a_failure() -> None:
    class Overwritten(PlainMHC):
        def positive(self, t: torch.Tensor) -> torch.Tensor:
            kept = super().positive(t)
            self.sums = kept.exp_().sum(-1)
            return kept.log()

        def project(self, t: torch.Tensor) -> torch.Tensor:
            matrix = t.exp()
            weighted = matrix * matrix
            matrix.div_(matrix.sum((-2, -1), keepdim=True))
            return super().project(t) + 0 * weighted

    report = check(Overwritten())
    assert "modified by an inplace operation" in report["gradients"].measured, str(report)

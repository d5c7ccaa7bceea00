"""The same mathematics called in other ways, in other layouts and with parameters of other shapes."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from mhc_core.spec import SpecError
from mhc_probe.conformance import check
from mhc_probe.conformance.discovery import find_subjects
from tests.probe.conformance.plain import STREAMS, WIDTH, Added, PlainMHC


class TakesBranch(PlainMHC):
    def forward(  # type: ignore[override]
        self, x: torch.Tensor, branch: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        u, add = super().forward(x)
        return add(branch(u))


class ReturnsAll(PlainMHC):
    """H_pre, H_post and H_res, which other code applies."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:  # type: ignore[override]
        return self.coefficients(x)


class Flat(PlainMHC):
    """Streams (B, T, n C)."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
        u, add = super().forward(x.unflatten(-1, (self.n, -1)))
        return u, lambda y: add(y).flatten(2)


class StreamsFirst(PlainMHC):
    """Streams (n, B, T, C)."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
        u, add = super().forward(x.movedim(0, 2))
        return u, lambda y: add(y).movedim(2, 0)


class StalePre(PlainMHC):
    """Each layer makes H_pre for the layer after it, and passes it on."""

    def forward(self, x: torch.Tensor, h_pre: torch.Tensor) -> tuple[torch.Tensor, Added, torch.Tensor]:  # type: ignore[override]
        next_pre, h_post, h_res = self.coefficients(x)
        u = (h_pre.unsqueeze(-1) * x).sum(-2)
        return u, lambda y: self.mix(h_res, x) + h_post.unsqueeze(-1) * y.unsqueeze(-2), next_pre


class Overwrites(PlainMHC):
    """The next state is written over the state that was given, with its gradient."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Added]:
        mixing = self.coefficients(x.clone())
        u = self.read(x.clone(), *mixing)
        return u, lambda y: x.copy_(self.write(x.clone(), y, *mixing))


def apply(state: torch.Tensor, y: torch.Tensor, returned: tuple[torch.Tensor, ...]) -> torch.Tensor:
    _, h_post, h_res = returned
    return h_res @ state + h_post.unsqueeze(-1) * y.unsqueeze(-2)


@pytest.mark.parametrize("build", [TakesBranch, Flat, StreamsFirst])
def test_other_ways_of_calling_are_found(build: type[PlainMHC]) -> None:
    report = check(build())
    assert report.passed, str(report)
    assert report["reference"].verdict == "holds"
    assert report["orientation"].verdict == "holds"


def test_all_three_coefficients_are_told_apart() -> None:
    report = check(ReturnsAll(), write=apply)
    assert report.passed, str(report)
    assert report["mixing applied"].verdict == "holds"
    assert "must do so as it is" in check(ReturnsAll())["orientation"].statement


@pytest.mark.sample(4)
@pytest.mark.parametrize("streams", [2, 3, 5, 8])
@pytest.mark.parametrize("width", [9, 32])
def test_sizes_are_found(streams: int, width: int) -> None:
    (subject,) = find_subjects(PlainMHC(streams, width))
    assert (subject.n, subject.width, subject.layout.name) == (streams, width, "x")


@pytest.mark.full
def test_a_connection_as_wide_as_those_of_large_models_is_checked() -> None:
    report = check(PlainMHC(4, 7168))
    assert report.passed, str(report)
    assert report["reference"].verdict == "holds"


def test_a_carried_h_pre_is_found() -> None:
    (subject,) = find_subjects(StalePre())
    assert subject.carried


def test_an_h_pre_that_is_passed_on_is_a_design() -> None:
    report = check(StalePre())
    assert report.passed, str(report)
    assert report["timing"].verdict == "design"
    assert report["timing"].statement.startswith("design: stale H_pre")


def test_a_state_that_is_overwritten_is_a_design() -> None:
    report = check(Overwrites())
    assert report.passed, str(report)
    assert report["mixing applied"].verdict == "design"


@pytest.mark.parametrize("module", [nn.Linear(96, 4), nn.Identity(), nn.TransformerEncoderLayer(16, 2)])
def test_what_is_no_connection_is_refused(module: nn.Module) -> None:
    with pytest.raises(SpecError, match="wanted a connection: one that takes streams"):
        check(module)


def test_the_module_and_random_numbers_stay_as_they_were() -> None:
    module = PlainMHC(STREAMS, WIDTH).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(5)
    check(module)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # torch.compile imports what warns
def test_compiled_it_does_the_same() -> None:
    assert check(PlainMHC(), compiled=True)["compile"].verdict == "holds"

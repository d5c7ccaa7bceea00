"""Other ways to write the same mathematics are accused of nothing: one variant a choice that an author makes."""

import pytest
import torch
from torch import nn

from mhc_core.connections import build_connection
from mhc_core.spec import parse_spec
from mhc_probe.conformance import check
from mhc_probe.conformance.options import FAMILIES
from tests.probe.conformance.plain import STREAMS, WIDTH, PlainMHC

pytestmark = pytest.mark.full

Logits = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Static(PlainMHC):
    """Biases alone."""

    def __init__(self) -> None:
        super().__init__()
        del self.phi, self.gates

    def logits(self, x: torch.Tensor) -> Logits:
        return (
            self.b_pre.expand(*x.shape[:2], -1),
            self.b_post.expand(*x.shape[:2], -1),
            self.b_res.expand(*x.shape[:2], -1, -1),
        )


class Linears(PlainMHC):
    """Three linear maps, whose weights have logits first, and gates of their own."""

    def __init__(self) -> None:
        super().__init__()
        del self.phi, self.gates
        sizes = (STREAMS, STREAMS, STREAMS**2)
        self.maps = nn.ModuleList(nn.Linear(STREAMS * WIDTH, size, bias=False) for size in sizes)
        self.scales = nn.ParameterList(nn.Parameter(torch.tensor(0.01)) for _ in sizes)

    def add_up(self, v: torch.Tensor) -> Logits:
        weights = [weight.float() for weight in self.maps.parameters()]
        pre, post, res = (scale * (v @ weight.T) for scale, weight in zip(self.scales, weights, strict=True))
        return pre + self.b_pre, post + self.b_post, res.unflatten(-1, (self.n, self.n)) + self.b_res


class ChannelsOuter(PlainMHC):
    """The state is flattened channel by channel."""

    def logits(self, x: torch.Tensor) -> Logits:
        v = x.mT.flatten(2).float()
        return self.add_up(v / v.square().mean(-1, keepdim=True).add(1e-6).sqrt())


class LearnedNorm(PlainMHC):
    """A norm with a gain."""

    def __init__(self) -> None:
        super().__init__()
        self.learned = nn.RMSNorm(STREAMS * WIDTH)

    def logits(self, x: torch.Tensor) -> Logits:
        return self.add_up(self.learned(x.flatten(2)).float())


class LogDomain(PlainMHC):
    """Sinkhorn on logarithms."""

    def project(self, t: torch.Tensor) -> torch.Tensor:
        for _ in range(20):
            t = t - t.logsumexp(-2, keepdim=True)
            t = t - t.logsumexp(-1, keepdim=True)
        return t.exp()


class Transposing(PlainMHC):
    """The matrix is made for its transpose and applied so."""

    def project(self, t: torch.Tensor) -> torch.Tensor:
        return super().project(t.mT).mT

    def mix(self, h_res: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("btij,btic->btjc", h_res, x)


class Clamped(PlainMHC):
    """Sums that are kept above a small number."""

    def round(self, matrix: torch.Tensor) -> torch.Tensor:
        matrix = matrix / matrix.sum(-2, keepdim=True).clamp_min(1e-8)
        return matrix / matrix.sum(-1, keepdim=True).clamp_min(1e-8)


@pytest.mark.parametrize("build", [Static, Linears, ChannelsOuter, LearnedNorm, LogDomain, Transposing, Clamped])
def test_a_variant_is_not_accused(build: type[PlainMHC]) -> None:
    report = check(build())
    assert report.passed, str(report)
    assert all(one.verdict != "design" for one in report.checks), str(report)
    for name in ("orientation", "order", "rounds", "exp", "precision", "gradients"):
        assert report[name].verdict == "holds", str(report)
    assert report["reference"].verdict == ("not applicable" if build is Static else "holds"), str(report)


@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind != "gated"])
def test_our_own_families_are_not_accused(kind: str) -> None:
    connection = {"kind": kind, "streams": 4, "dynamic": True, "init": "megatron"}
    spec = parse_spec({"depth": 2, "width": WIDTH, "block": {"kind": "mlp"}, "connection": connection})
    mixers = build_connection(spec).mixers
    assert isinstance(mixers, nn.ModuleList)
    report = check(mixers, kind)
    assert report.passed, str(report)
    assert report["dynamic part"].verdict == "holds"
    assert report["sharing"].verdict == "holds"
    # Skew matrices have a diagonal of zeros, and the identity has no gate.
    dead = {"orthostochastic": "b_res (4 entries)", "go_mhc": "b_res (8 entries)", "identity_hc": "a (1 entry)"}
    assert dead.get(kind, "") in report["gradients"].statement
    assert report["gradients"].verdict == ("design" if kind in dead else "holds")

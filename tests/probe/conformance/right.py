"""Right implementations of mHC, each written from the equations in another style: none of them may fail a check.

Legend: B sequences, T tokens, n streams, C width; logits of H_res are stored (output, input) where nothing is said.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tests.probe.conformance.elsewhere import build_deepseek_v4, build_mhc, write_transposed
from tests.probe.conformance.plain import STREAMS, WIDTH, PlainMHC

Added = Callable[[torch.Tensor], torch.Tensor]
Logits = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
N, C = STREAMS, WIDTH


class Right(NamedTuple):
    """A right implementation, with the options of the check that its form needs."""

    build: Callable[[], nn.Module]
    options: Mapping[str, Any] = MappingProxyType({})


class Einsum(nn.Module):
    """One einsum per equation; three parameters for each coefficient."""

    def __init__(self) -> None:
        super().__init__()
        for name, shape in (("pre", (N,)), ("post", (N,)), ("res", (N, N))):
            self.register_parameter(f"phi_{name}", nn.Parameter(0.02 * torch.randn(N, C, *shape)))
            self.register_parameter(f"alpha_{name}", nn.Parameter(torch.tensor(0.01)))
            self.register_parameter(f"beta_{name}", nn.Parameter(torch.zeros(shape)))

    def logits(self, x: torch.Tensor, name: str, axes: str) -> torch.Tensor:
        phi, alpha, beta = (getattr(self, f"{part}_{name}") for part in ("phi", "alpha", "beta"))
        r = x.pow(2).mean((-2, -1)).sqrt()
        projected = torch.einsum(f"btnc,nc{axes},bt->bt{axes}", x, phi, 1 / r)
        return alpha * projected + beta

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Added]:
        pre, post = self.logits(x, "pre", "i").sigmoid(), 2 * self.logits(x, "post", "i").sigmoid()
        res = self.logits(x, "res", "ij")
        res = torch.exp(res - res.amax((-2, -1), keepdim=True))
        for _ in range(20):
            res = res / torch.einsum("btij->btj", res)[:, :, None, :]
            res = res / torch.einsum("btij->bti", res)[:, :, :, None]
        u = torch.einsum("btn,btnc->btc", pre, x)
        return u, lambda y: torch.einsum("btij,btjc->btic", res, x) + torch.einsum("bti,btc->btic", post, y)


class JoinedTokens(nn.Module):
    """Tokens on one axis, products by bmm, one fused linear map with its bias apart."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(N * C, N * (N + 2), bias=False)
        self.bias = nn.Parameter(torch.zeros(N * (N + 2)))
        self.gate = nn.Parameter(torch.full((3,), 0.01))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Added]:
        v = x.reshape(len(x), -1)
        # The rms divides after the projection, as the paper's kernel does.
        projected = self.linear(v) / (v.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        t = projected * self.gate.repeat_interleave(torch.tensor([N, N, N * N])) + self.bias
        pre, post, res = t[:, :N].sigmoid(), 2 * t[:, N : 2 * N].sigmoid(), t[:, 2 * N :].view(-1, N, N)
        res = (res - res.flatten(1).max(1).values[:, None, None]).exp()
        for _ in range(20):
            res = F.normalize(res, p=1, dim=1)
            res = F.normalize(res, p=1, dim=2)
        u = torch.bmm(pre.unsqueeze(1), x).squeeze(1)
        return u, lambda y: torch.baddbmm(torch.bmm(post.unsqueeze(2), y.unsqueeze(1)), res, x)


class StreamsFirst(nn.Module):
    """Streams are the first axis, a list of linear maps, sums over streams in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(N * C, size, bias=False) for size in (N, N, N * N))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in (N, N, N * N))
        self.gates = nn.ParameterList(nn.Parameter(torch.tensor(0.01)) for _ in range(3))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Added]:
        v = F.rms_norm(torch.cat(list(x), -1), (N * C,), eps=1e-6)
        pre, post, res = (a * m(v) + b for a, m, b in zip(self.gates, self.maps, self.biases, strict=True))
        h_pre, h_post = pre.sigmoid(), post.sigmoid() * 2
        h_res = torch.softmax(res.unflatten(-1, (N, N)), -2)  # the first division of columns
        h_res = h_res / h_res.sum(-1, keepdim=True)
        for _ in range(19):
            h_res = h_res / h_res.sum(-2, keepdim=True)
            h_res = h_res / h_res.sum(-1, keepdim=True)
        u = sum(h_pre[..., j, None] * x[j] for j in range(N))

        def write(y: torch.Tensor) -> torch.Tensor:
            rows = [sum(h_res[..., i, j, None] * x[j] for j in range(N)) + h_post[..., i, None] * y for i in range(N)]
            return torch.stack(rows)

        assert isinstance(u, torch.Tensor)
        return u, write


class LogDomain(PlainMHC):
    """Sinkhorn on logarithms."""

    def project(self, t: torch.Tensor) -> torch.Tensor:
        for _ in range(20):
            t = t - torch.logsumexp(t, -2, keepdim=True)
            t = t - torch.logsumexp(t, -1, keepdim=True)
        return t.exp()


class Potentials(PlainMHC):
    """Sinkhorn as two vectors that scale one kernel."""

    def project(self, t: torch.Tensor) -> torch.Tensor:
        kernel = self.positive(t)
        rows = kernel.new_ones(kernel.shape[:-1])
        for _ in range(20):
            columns = 1 / torch.einsum("...ij,...i->...j", kernel, rows)
            rows = 1 / torch.einsum("...ij,...j->...i", kernel, columns)
        return rows.unsqueeze(-1) * kernel * columns.unsqueeze(-2)


class PlainExponential(PlainMHC):
    """Exactly as the paper prints it, without subtracting a maximum."""

    def positive(self, t: torch.Tensor) -> torch.Tensor:
        return t.exp()


class FlatStreams(PlainMHC):
    """Streams (B, T, n C), and a branch as second argument."""

    def forward(self, x: torch.Tensor, branch: Added) -> torch.Tensor:  # type: ignore[override]
        u, write = super().forward(x.unflatten(-1, (self.n, -1)))
        return write(branch(u)).flatten(-2)


class Coefficients(nn.Module):
    """Functional: coefficients out, applied elsewhere. Biases and gates stand in one linear map and one vector."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(N * (N + 2), N * C))
        self.bias = nn.Parameter(torch.zeros(N * (N + 2)))
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        scale = torch.cat([self.scale[:1].expand(N), self.scale[1:2].expand(N), self.scale[2:].expand(N * N)])
        t = F.linear(F.rms_norm(x.flatten(-2), (N * C,)), self.weight * scale[:, None], self.bias)
        pre, post, res = torch.split(t, [N, N, N * N], -1)
        res = res.view(*res.shape[:-1], N, N).exp()
        for _ in range(20):
            res = res / res.sum(-2, True)
            res = res / res.sum(-1, True)
        return torch.sigmoid(pre), 2.0 * torch.sigmoid(post), res


def write_coefficients(state: torch.Tensor, y: torch.Tensor, returned: tuple[torch.Tensor, ...]) -> torch.Tensor:
    _, h_post, h_res = returned
    return torch.matmul(h_res, state) + torch.mul(h_post[..., None], y[..., None, :])


class InPlace(PlainMHC):
    """Results are written into tensors that are there already, and biases are added in place."""

    def add_up(self, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        t = (v @ self.phi) * self.gates.repeat_interleave(torch.tensor([self.n, self.n, self.n**2]))
        t.add_(torch.cat([self.b_pre, self.b_post, self.b_res.flatten()]))
        return t[..., : self.n], t[..., self.n : 2 * self.n], t[..., 2 * self.n :].unflatten(-1, (self.n, self.n))

    def write(
        self, x: torch.Tensor, y: torch.Tensor, h_pre: torch.Tensor, h_post: torch.Tensor, h_res: torch.Tensor
    ) -> torch.Tensor:
        state = torch.empty_like(x)
        for i in range(self.n):
            state[:, :, i] = (h_res[:, :, i, None] @ x).squeeze(-2)
        return state.addcmul_(h_post.unsqueeze(-1), y.unsqueeze(-2))


class Float64(PlainMHC):
    """Coefficients in float64, whatever the type of the state."""

    def coefficients(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        v = x.flatten(2).double()
        projected = (v / v.norm(dim=-1, keepdim=True) * v.shape[-1] ** 0.5) @ self.phi.double()
        a, b = self.gates.double(), (self.b_pre.double(), self.b_post.double(), self.b_res.double().flatten())
        pre, post, res = (a[k] * part + b[k] for k, part in enumerate(projected.split([self.n, self.n, self.n**2], -1)))
        return pre.sigmoid(), 2 * post.sigmoid(), self.project(res.unflatten(-1, (self.n, self.n)))


class LowRank(PlainMHC):
    """The projection is a product of two factors."""

    def __init__(self) -> None:
        super().__init__()
        del self.phi
        self.down = nn.Parameter(0.1 * torch.randn(N * C, 6))
        self.up = nn.Parameter(0.1 * torch.randn(6, N * (N + 2)))

    @property
    def phi(self) -> torch.Tensor:  # type: ignore[override]
        return self.down @ self.up


class Recomputed(PlainMHC):
    """Activations are recomputed on the way back."""

    def coefficients(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        made: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = checkpoint(super().coefficients, x, use_reentrant=False)
        return made


class SinkhornFunction(torch.autograd.Function):
    """Sinkhorn whose backward pass is written by hand, and runs the rounds again."""

    @staticmethod
    def forward(ctx: Any, t: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(t)
        return LogDomain().project(t)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (t,) = ctx.saved_tensors
        made, axis = [], -2
        for _ in range(40):
            t = t.log_softmax(axis)
            made.append((t, axis))
            axis = -3 - axis
        grad = grad * t.exp()
        for after, axis in reversed(made):
            grad = grad - after.exp() * grad.sum(axis, keepdim=True)
        return grad


class HandWritten(PlainMHC):
    def project(self, t: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = SinkhornFunction.apply(t)
        return made


class StoredTransposed(PlainMHC):
    """Logits stand (input, output); the matrix is made for its transpose and applied so, streams (B, n, T, C)."""

    def project(self, t: torch.Tensor) -> torch.Tensor:
        matrix = t.softmax(-1)
        for _ in range(19):
            matrix = matrix / matrix.sum(-2, keepdim=True)
            matrix = matrix / matrix.sum(-1, keepdim=True)
        return matrix / matrix.sum(-2, keepdim=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Added]:
        pre, post, res = self.coefficients(x.transpose(1, 2))
        u = torch.einsum("btn,bntc->btc", pre, x)
        return u, lambda y: torch.einsum("btji,bjtc->bitc", res, x) + torch.einsum("btn,btc->bntc", post, y)


class Static(nn.Module):
    """Biases alone, with a buffer for the eye, which torch.compile sees as a constant."""

    eye: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.b_pre, self.b_post = nn.Parameter(torch.zeros(N)), nn.Parameter(torch.zeros(N))
        self.b_res = nn.Parameter(torch.zeros(N, N))
        self.register_buffer("eye", 8 * torch.eye(N))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Added]:
        h_res = LogDomain().project(self.b_res + self.eye)
        u = F.linear(x.mT, self.b_pre.sigmoid().unsqueeze(0)).squeeze(-1)
        return u, lambda y: h_res @ x + 2 * self.b_post.sigmoid()[:, None] * y.unsqueeze(-2)


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


class Clamped(PlainMHC):
    """Sums that are kept above a small number."""

    def round(self, matrix: torch.Tensor) -> torch.Tensor:
        matrix = matrix / matrix.sum(-2, keepdim=True).clamp_min(1e-8)
        return matrix / matrix.sum(-1, keepdim=True).clamp_min(1e-8)


RIGHT: dict[str, Right] = {
    "einsum": Right(Einsum),
    "tokens on one axis, bmm, one linear map": Right(JoinedTokens),
    "streams first, lists and loops": Right(StreamsFirst),
    "logarithms": Right(LogDomain),
    "two scaling vectors": Right(Potentials),
    "exponential without a maximum": Right(PlainExponential),
    "flat streams, called with a branch": Right(FlatStreams),
    "coefficients, applied elsewhere": Right(Coefficients, {"write": write_coefficients}),
    "in place": Right(InPlace),
    "coefficients in float64": Right(Float64),
    "projection of low rank": Right(LowRank),
    "recomputed on the way back": Right(Recomputed),
    "backward pass by hand": Right(HandWritten),
    "stored transposed, streams second": Right(StoredTransposed),
    "static": Right(Static),
    "channels flattened first": Right(ChannelsOuter),
    "a norm with a gain": Right(LearnedNorm),
    "sums kept above a small number": Right(Clamped),
    "DeepSeek-V4": Right(build_deepseek_v4, {"write": write_transposed}),
    "hyper-connections": Right(build_mhc),
}

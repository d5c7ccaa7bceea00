"""Frac-Connections (arXiv 2503.14125): Hyper-Connections between m parts of the width instead of n copies of it.

The state h is reshaped to H, m parts of C / m features, and H' = B^T F(Y^T H) + A^T H (Eq. 8). The branch reads the
concatenated mixed parts, and its output is split into parts again. Rows of Y and A index the part that is read, so our
h_pre is Y transposed, and h_res is A transposed. At initialisation B = 1 and Y = A = I (Eq. 15), which is the plain
residual network.
"""

import torch
from torch import nn

from mhc_core.layers.connection import Connection, Mixing
from mhc_core.layers.hc import GATE
from mhc_core.layers.noise import draw_mixing_noise
from mhc_core.layers.norms import normalise
from mhc_core.spec import RunSpec


def _initial(spec: RunSpec) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the initial Y = I, B = 1 and A = I plus noise of Frac-Connections: (L, m, m), (L, m), (L, m, m)."""
    m = spec.connection.streams
    eye = torch.eye(m)
    return eye.repeat(spec.depth, 1, 1), torch.ones(spec.depth, m), eye + draw_mixing_noise(spec, m * m).view(-1, m, m)


class Parts(Connection):
    """A connection whose streams are parts of the width. Layout (N, C), so that a post-norm is over the whole width."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec, spec.connection.streams)
        self.state_width = spec.width

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return x_NC

    def read(self, state: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        """Return the branch input (N, C): parts of the width, mixed by the matrix H_pre."""
        mixed = mixing.h_pre @ self._split_width(state).to(mixing.h_pre.dtype)
        return mixed.flatten(1).to(state.dtype)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        """Return the state after a layer (N, C): parts mixed by H_res, plus the output's parts weighted by H_post."""
        dtype = mixing.h_res.dtype
        branch = mixing.h_post.unsqueeze(-1) * self._split_width(y_NC).to(dtype)
        mixed = mixing.h_res @ self._split_width(state).to(dtype)
        return (mixed + branch).flatten(1).to(state.dtype)

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        return state

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return self._split_width(state).transpose(0, 1)

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return x_nNC.transpose(0, 1).flatten(1)

    def merge(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(-3, -2).flatten(-2)

    def merge_grad(self, grad: torch.Tensor) -> torch.Tensor:
        return self.merge(grad)

    def _split_width(self, x_NC: torch.Tensor) -> torch.Tensor:
        """Split the width into n parts, (N, n, C / n)."""
        return x_NC.unflatten(1, (self.n, -1))


class StaticFrac(Parts):
    """Static Frac-Connections: the coefficients are the parameters themselves."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        self.y, self.b, self.a = (nn.Parameter(start) for start in _initial(spec))

    def static_mixing(self) -> Mixing:
        return Mixing(self.y.mT, self.b, self.a.mT)

    def stacked_parameters(self) -> list[nn.Parameter]:
        return [self.y, self.b, self.a]

    def raw_residual(self) -> nn.Parameter:
        return self.a


class DynamicFracLayer(nn.Module):
    """Coefficients of one layer for each sample: a static part plus s tanh(norm(H) W) (Eq. 11-14).

    The norm is over each part. W = 0 and s = 0.01 at initialisation.
    """

    def __init__(self, y: torch.Tensor, b: torch.Tensor, a: torch.Tensor, part: int) -> None:
        super().__init__()
        m = len(b)
        self.y, self.b, self.a = nn.Parameter(y), nn.Parameter(b), nn.Parameter(a)
        self.w_y = nn.Parameter(torch.zeros(part, m))
        self.w_b = nn.Parameter(torch.zeros(part, 1))
        self.w_a = nn.Parameter(torch.zeros(part, m))
        self.s_a = nn.Parameter(torch.tensor(GATE))  # for both Y and A
        self.s_b = nn.Parameter(torch.tensor(GATE))

    def forward(self, x_NmC: torch.Tensor) -> Mixing:
        """Return the coefficients Y, B and A of Frac-Connections for every sample: (N, m, m), (N, m), (N, m, m)."""
        m = x_NmC.shape[1]
        raw = torch.tanh(normalise(x_NmC, "rmsnorm") @ torch.cat([self.w_y, self.w_a, self.w_b], dim=1))
        y = self.y + self.s_a * raw[..., :m]
        a = self.a + self.s_a * raw[..., m : 2 * m]
        b = self.b + self.s_b * raw[..., 2 * m]
        return Mixing(y.mT.contiguous(), b, a.mT.contiguous())


class DynamicFrac(Parts):
    """Dynamic Frac-Connections, with one `DynamicFracLayer` per layer."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        part = spec.width // self.n
        initial = zip(*_initial(spec), strict=True)
        self.mixers = nn.ModuleList(DynamicFracLayer(y.clone(), b.clone(), a.clone(), part) for y, b, a in initial)

    def static_mixing(self) -> Mixing | None:
        return None

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Mixing:
        """Return the coefficients of Frac-Connections in one layer, computed from the state of every sample."""
        return self.mixers[layer](self._split_width(state).to(self.coefficient_dtype))

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return list(self.mixers[layer].parameters())


def build_frac(spec: RunSpec) -> Connection:
    """Build Frac-Connections for a spec, static or dynamic."""
    return DynamicFrac(spec) if spec.connection.is_dynamic else StaticFrac(spec)

"""What every branch shares: its pre-norm, its scaling, and how its matrices are drawn."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from mhc_core.layers.norms import normalise
from mhc_core.layers.scaling import Scaling
from mhc_core.rng import normal
from mhc_core.spec import RunSpec

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "silu": F.silu,
    "linear": lambda x: x,
}
KEEPS_INPUT = ("gelu", "silu")  # in addition to its output, which the next product keeps
RECTIFIERS = ("relu", "gelu", "silu")  # lose half their input's square, which He's factor 2 restores


@dataclass
class Carried:
    """Tensors that branches pass on to later branches, next to the state.

    values: (B, T, C), those of the first attention layer; None before it, and where no layer adds them to its own.
    """

    values: torch.Tensor | None = None


class Branch(nn.Module, ABC):
    """One residual branch F: pre-norm (if the spec places it there), `compute`, branch scale, learned gain (if any).

    `name` is what the layer is called in results. A subclass draws its matrices by `layer`. `skip` is the factor that
    the path past the branch takes. For the cost model, `calls` counts the operator calls of a layer going up, `scratch`
    copies of its weights in memory while it works, and the methods what else a branch costs.
    """

    name = ""
    calls = 15
    scratch = 2

    def __init__(self, spec: RunSpec, layer: int, scaling: Scaling) -> None:
        super().__init__()
        self.pre_norm = spec.block.norm if spec.block.norm_position == "pre" else None
        self.norm_scale, self.skip = scaling.norm, scaling.skip
        self.scale = spec.block.branch_scale * scaling.branch
        self.gain = None if scaling.gain is None else nn.Parameter(torch.tensor(scaling.gain, dtype=torch.float64))

    @classmethod
    def choose(cls, spec: RunSpec, layer: int) -> "type[Branch]":
        """Return the class of this layer's branch: this one, unless a subclass chooses by the layer."""
        return cls

    def forward(self, u_BTC: torch.Tensor, carried: Carried | None = None) -> torch.Tensor:
        """Return the output (B, T, C) of the branch for a state (B, T, C): norm, then `compute`.

        carried: tensors of earlier branches, to which this one may add; required if the branch reads them.
        """
        if self.pre_norm is not None:
            u_BTC = _scale(normalise(u_BTC, self.pre_norm), self.norm_scale)
        out = _scale(self.compute(u_BTC, carried or Carried()), self.scale)
        return out if self.gain is None else out * self.gain

    @abstractmethod
    def compute(self, u_BTC: torch.Tensor, carried: Carried) -> torch.Tensor:
        """Return the output of the branch for its normalised input, both (B, T, C). Few branches use `carried`."""

    @classmethod
    @abstractmethod
    def count_parameters(cls, spec: RunSpec) -> int:
        """Count the parameters of one branch."""

    @classmethod
    def count_flops(cls, spec: RunSpec) -> float:
        """Count the operations of one token in the forward pass; by default those of matrices which every token
        passes once.
        """
        return 2.0 * cls.count_parameters(spec)

    @classmethod
    def count_equivalent_flops(cls, spec: RunSpec) -> float:
        """Return how many operations of a matrix product take as long as the other arithmetic of a token in this
        layer; default 0.
        """
        return 0.0

    @classmethod
    @abstractmethod
    def count_kept(cls, spec: RunSpec) -> float:
        """Count the values per token that autograd stores for one branch, without pre-norm and output."""

    @classmethod
    @abstractmethod
    def count_moved(cls, spec: RunSpec) -> float:
        """Count the values per token that one branch reads and writes, forward and backward, without norms and
        weights.
        """


def count_kept_by_activation(activation: str, values: float) -> float:
    """Count the values that autograd keeps for the backward pass of an activation of `values` inputs, for costs."""
    return values * (2 if activation in KEEPS_INPUT else 1)


def _scale(x: torch.Tensor, factor: float) -> torch.Tensor:
    return x if factor == 1.0 else x * factor


def draw_matrix(
    spec: RunSpec,
    name: str,
    layer: int,
    fan_out: int,
    fan_in: int,
    activation: str = "linear",
    scale: float | torch.Tensor = 1.0,
) -> nn.Parameter:
    """Draw an initial weight matrix (fan_out, fan_in) whose product feeds `activation`, multiplied by `scale`.

    he: variance g / fan_in with g = 2 before a rectifier, else 1 (He et al. 2015). xavier: variance
    2 / (fan_in + fan_out) (Glorot & Bengio 2010). orthogonal: semi-orthogonal times sqrt(g) (Saxe et al. 2014).
    """
    weight = normal(spec.seed, name, layer, fan_out, fan_in)
    gain = 2.0 if activation in RECTIFIERS else 1.0
    if spec.block.weights == "he":
        weight *= (gain / fan_in) ** 0.5
    elif spec.block.weights == "xavier":
        weight *= (2.0 / (fan_in + fan_out)) ** 0.5
    else:
        weight = _orthogonalise(weight) * gain**0.5
    return nn.Parameter(weight * scale)


def _orthogonalise(weight: torch.Tensor) -> torch.Tensor:
    """Return a random matrix with orthonormal rows or columns, whichever are fewer, from a Gaussian one by QR."""
    tall = weight if weight.shape[0] >= weight.shape[1] else weight.T
    q, r = torch.linalg.qr(tall.double())
    # Without the signs of R's diagonal the result is not uniform over the orthogonal group (Mezzadri 2007).
    q = (q * torch.sign(torch.diagonal(r))).float()
    return (q if weight.shape[0] >= weight.shape[1] else q.T).contiguous()

"""What all branches have in common: the pre-norm, the scaling, and the initial draw of weight matrices."""

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
# Autograd keeps the input of these activations, in addition to the output, which the next product keeps.
KEEPS_INPUT = ("gelu", "silu")
RECTIFIERS = ("relu", "gelu", "silu")  # these halve the mean square of their input, which He's factor 2 restores


@dataclass
class Carried:
    """Tensors that a branch passes on to later branches, in addition to the state.

    values: (B, T, C), the values of the first attention layer; None before that layer, and in stacks without a value
        residual.
    """

    values: torch.Tensor | None = None


class Branch(nn.Module, ABC):
    """One residual branch F: pre-norm (if the spec places it there), `compute`, branch scale, learned gain (if any).

    `name` is the type of the layer in results. A subclass uses `layer` as part of the seed of its matrices. `skip` is
    the factor of the path around the branch. The cost model reads `calls`, the number of operator calls of a layer in
    the forward pass, `scratch`, the number of copies of its weights in memory while it computes, and the `count_`
    methods.
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
        """Return the class of this layer's branch: this class, unless a subclass makes it depend on the layer."""
        return cls

    def forward(self, u_BTC: torch.Tensor, carried: Carried | None = None) -> torch.Tensor:
        """Return the output of the branch, (B, T, C), for its input (B, T, C): pre-norm, `compute`, scale and gain.

        carried: tensors of earlier branches, to which this branch may add its own; required if the branch reads them.
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
        """Count the operations per token of the forward pass; by default, two for each parameter, as in matrix
        products.
        """
        return 2.0 * cls.count_parameters(spec)

    @classmethod
    def count_equivalent_flops(cls, spec: RunSpec) -> float:
        """Return the time per token of this layer's other arithmetic, as the number of operations of a matrix product
        that take as long; default 0.
        """
        return 0.0

    @classmethod
    @abstractmethod
    def count_kept(cls, spec: RunSpec) -> float:
        """Count the values per token that autograd stores for one branch, without those of pre-norm and output."""

    @classmethod
    @abstractmethod
    def count_moved(cls, spec: RunSpec) -> float:
        """Count the values per token that one branch reads and writes in the forward and backward pass, without those
        of norms and without weights.
        """


def count_kept_by_activation(activation: str, values: float) -> float:
    """Count the values that autograd keeps for the backward pass of an activation function with `values` inputs."""
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
    """Draw an initial weight matrix (fan_out, fan_in), multiplied by `scale`. `activation` follows its product.

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
    """Return a random matrix whose rows or columns, whichever are fewer, are orthonormal: QR of a Gaussian matrix."""
    tall = weight if weight.shape[0] >= weight.shape[1] else weight.T
    q, r = torch.linalg.qr(tall.double())
    # Without the signs of R's diagonal the result is not uniform over the orthogonal group (Mezzadri 2007).
    q = (q * torch.sign(torch.diagonal(r))).float()
    return (q if weight.shape[0] >= weight.shape[1] else q.T).contiguous()

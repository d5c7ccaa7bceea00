"""The single-stream network that is equivalent to a stack, with the quantities that theory needs."""

from dataclasses import dataclass

from mhc_core.theory.activations import ACTIVATIONS


@dataclass(frozen=True)
class Network:
    """A network with one stream and branches a F(u), where F(u) = W_2 phi(W_1 u) or phi(W_1 u).

    samples: number of tokens of all sequences. skip: 1 with a residual connection, else 0. norm: position of the norm.
    scale_L: a of each layer. norm_gain_L: squared factor of the pre-norm's output in each layer. gain_in, gain_out:
    variance of the entries of W_1 and W_2, times their fan-in. hidden: rows of W_1. two: whether there is a W_2.
    isometric: whether F is only an orthogonal matrix W_1. correlation: of any two samples of the input that are not
    the same. same: fraction of pairs that are the same; default 0.
    """

    width: int
    samples: int
    skip: float
    norm: str
    activation: str
    scale_L: tuple[float, ...]
    norm_gain_L: tuple[float, ...]
    gain_in: float
    gain_out: float
    hidden: int
    two: bool
    isometric: bool
    correlation: float
    same: float = 0.0

    @property
    def depth(self) -> int:
        """Return the number of layers."""
        return len(self.scale_L)

    @property
    def is_scale_free(self) -> bool:
        """Return whether F(a u) = a F(u) for a > 0, because there is no norm and phi has degree one."""
        return self.norm == "none" and ACTIVATIONS[self.activation].degree_one

    @property
    def is_bent(self) -> bool:
        """Return whether the ratio of output to input of a branch depends on the size of the state."""
        return self.norm == "none" and not ACTIVATIONS[self.activation].degree_one

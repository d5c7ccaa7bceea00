"""The single-stream network that a stack amounts to, as theory needs it."""

from dataclasses import dataclass

from mhc_core.theory.activations import ACTIVATIONS


@dataclass(frozen=True)
class Network:
    """One stream through branches a F(u), F(u) = W_2 phi(W_1 u) or phi(W_1 u).

    skip: 1 with a residual connection, else 0. norm: its position. scale_L: a of each layer. norm_gain_L: squared
    factor on the pre-norm's output. gain_in, gain_out: variance of the entries of W_1 and W_2 times their fan-in.
    hidden: rows of W_1. two: whether there is W_2. isometric: W_1 is orthogonal and all there is. correlation: of every
    two samples of the input that are not the same; same: the share of pairs that are.
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
        """Return the number of layers of the network whose signal is predicted."""
        return len(self.scale_L)

    @property
    def is_scale_free(self) -> bool:
        """Return whether no norm or activation fixes the scale: sizes may overflow, and only ratios are meaningful."""
        return self.norm == "none" and ACTIVATIONS[self.activation].degree_one

    @property
    def is_bent(self) -> bool:
        """Return whether the activation function changes with the size of a state, so that sizes do not just scale."""
        return self.norm == "none" and not ACTIVATIONS[self.activation].degree_one

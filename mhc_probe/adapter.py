"""What a family of models must tell: which modules are its layers, and what passes them.

Shapes: N samples (tokens of all sequences), n streams, C width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import nn

from mhc_core.spec import SpecError
from mhc_probe.recording.operations import OperationTracker

if TYPE_CHECKING:
    from mhc_probe.recording.joined import JoinedPasses


class LayerSite(NamedTuple):
    """One layer before anything has run: what it is called, and the parameters of its connection."""

    name: str
    mixing: list[nn.Parameter]


class LayerPass(NamedTuple):
    """What a layer did: the state after it, its branch's output, and how it was mixed in.

    Attributes
    ----------
    after: the state that left the layer.
    y: the branch's output, (..., C); None where it is not known.
    h_pre, h_post: (n) or (N, n); None where not known.
    h_res: (n, n) or (N, n, n) each: matrices that may be the one, of which the state after it tells; () where none is
        known. With several streams the one that holds is found over all layers, see `mixing.choose`.
    name: what the branch is, where that shows only as it runs.
    weights: parameters of the branch.
    """

    after: torch.Tensor
    y: torch.Tensor | None
    h_pre: torch.Tensor | None
    h_post: torch.Tensor | None
    h_res: tuple[torch.Tensor, ...]
    name: str
    weights: list[nn.Parameter]


class LayerRecorder(Protocol):
    """Takes what an adapter's hooks hear. Tensors are the model's own, with their graph."""

    operations: OperationTracker

    def enter(self, site: int, state: torch.Tensor) -> bool:
        """A layer has been entered with this state; False where it need not be heard, as it was already."""

    def read(self, site: int, u: torch.Tensor) -> None:
        """The layer's branch reads u (..., C); not called where it reads the one state itself."""

    def leave(self, site: int, written: LayerPass) -> None:
        """The layer has been left. May be told again, with a state that is nearer to the next layer."""

    def confirm(self) -> None:
        """What was heard proves that the model is of the adapter's family: no other adapter needs to listen."""


class Adapter(ABC):
    """One family of models. Keeps nothing of a pass: one adapter serves many attachments."""

    sites: Sequence[LayerSite]
    needs_confirmation = False  # whether a pass that does not bear the family out speaks against it

    @abstractmethod
    def register_hooks(self, recorder: LayerRecorder) -> list[Callable[[], None]]:
        """Hook the model's modules, so that the recorder hears of every layer; what is returned takes that back."""

    @abstractmethod
    def parameters(self) -> list[nn.Parameter]:
        """All parameters of branches and connections."""

    @abstractmethod
    def find_inner(self) -> nn.Module:
        """A module of the first layer: what calls it is given the mask."""

    @abstractmethod
    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        """Any state, or its gradient, as (n, N, C); samples in the order of the sequences."""

    def to_rows(self, x: torch.Tensor) -> torch.Tensor:
        """What a branch reads or returns, (..., C), as (N, C)."""
        return x.flatten(0, -2)

    def count_layers(self) -> int:
        """Layers of a whole pass, as far as is known once one has run."""
        return len(self.sites)

    def explain(self) -> SpecError | None:
        """Why no whole pass was heard, where what ran was not what the structure promised."""
        return None

    @abstractmethod
    def matches(self, recorded: "JoinedPasses", autocast: torch.dtype | None) -> bool:
        """Whether states and coefficients of a whole pass are those of a model of the family."""

    @abstractmethod
    def propose(self, sites: Sequence[int]) -> str | None:
        """The argument `layers=` that lists these sites, as an expression of `model`; None where there is none."""

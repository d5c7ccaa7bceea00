"""Define the interface between adapters, each of which knows one family of models, and the recorder of a pass.

An adapter finds the layers of a model and registers hooks; the hooks report the tensors of each layer to the recorder.

Shapes: N samples (tokens of all sequences), n streams, C width, K sources, H weights of one source.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import nn

from mhc_core.spec import SpecError
from mhc_core.spec.edit import What
from mhc_probe.recording.operations import OperationTracker

if TYPE_CHECKING:
    from mhc_probe.edits import ModelEdits
    from mhc_probe.recording.joined import JoinedLayer, JoinedPasses


class LayerSite(NamedTuple):
    """The name of one layer and the parameters of its connection, known before any pass has run."""

    name: str
    mixing: list[nn.Parameter]


class SourceRead(NamedTuple):
    """How the state after a layer is computed from the embedding and earlier outputs: see `mhc_core.layers.depth`.

    Attributes
    ----------
    attention: (N, K, H), the weight of each source; they sum to 1. H is the number of queries.
    values: (N, K, H), the coefficient of each source in the weighted sum; None if coefficients differ by channel.
    places: index of the source that contains the embedding, and of that for each output so far; None for an output
        that is in no source.
    tensors: how many tensors the branch reads, such as one each for query, key and value; the state is their mean.
    """

    attention: torch.Tensor
    values: torch.Tensor | None
    places: tuple[int | None, ...]
    tensors: int


class LayerPass(NamedTuple):
    """The recorded tensors of one layer in a pass: the state after it, its branch's output and its coefficients.

    Attributes
    ----------
    after: the state that left the layer.
    y: the branch's output, (..., C); None if it is not known.
    h_pre, h_post: (n) or (N, n); None if not known.
    h_res: candidates for H_res, each (n, n) or (N, n, n); () if none is known. With several streams, the states of all
        layers decide which candidate is right: see `laws.choose_h_res`.
    name: kind of the branch, if it is known only after the call.
    weights: parameters of the branch.
    read: how the state is computed, if layers read earlier outputs; then there are no coefficients.
    parts: tensors of the model whose mean is the state; () if the state itself is a tensor of the model. The gradient
        of the state is the sum of their gradients.
    subtracts_read: whether the branch's output is what its layer returns minus u, if u is subtracted outside the layer.
    gates: (N, n, C), the gates with which the branch reads the normed streams, for the features that `pick_features`
        keeps; None if there are none or they are not known.
    to_state_grad: function from the gradient of the one tensor in `parts` to the gradient of the state, for a model
        that has no tensor of the state but one computed from it, such as its norm; else None.
    """

    after: torch.Tensor
    y: torch.Tensor | None
    h_pre: torch.Tensor | None
    h_post: torch.Tensor | None
    h_res: tuple[torch.Tensor, ...]
    name: str
    weights: list[nn.Parameter]
    read: SourceRead | None = None
    parts: tuple[torch.Tensor, ...] = ()
    subtracts_read: bool = False
    gates: torch.Tensor | None = None
    to_state_grad: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def knows_weights(self) -> bool:
        """Return whether the layer reads sources over depth whose coefficients are known."""
        return self.read is not None and self.read.values is not None


class LayerRecorder(Protocol):
    """Receives the events of an adapter's hooks. Tensors are the model's own, with their graph."""

    operations: OperationTracker

    def enter(self, site: int, state: torch.Tensor, edited: torch.Tensor | None = None) -> bool:
        """Record the state that enters a layer. Return False if this pass has recorded the layer before.

        edited: the state that the layer uses if an edit replaces the one that left the previous layer; else None.
        """

    def read(self, site: int, u: torch.Tensor) -> None:
        """Record u (..., C), the input of the layer's branch. Not called if the branch reads the state directly."""

    def read_inside(
        self, site: int, state: torch.Tensor, outputs: Sequence[torch.Tensor], stream: int | None = None
    ) -> None:
        """Record the gradient at the branch's input as the one that reaches the layer's state through `outputs` alone.

        stream: index of the stream that is u, if the state is (n, ..., C); None if the whole state is u.
        """

    def leave(self, site: int, written: LayerPass) -> None:
        """Record the output of a layer. A second call, with a state closer to the next layer, replaces the first."""

    def confirm(self) -> None:
        """State that the pass proves the adapter's family. The recorders of other adapters then stop."""


class Adapter(ABC):
    """Finds and hooks the layers of one family of models. It stores no pass, so many attachments can share it."""

    sites: Sequence[LayerSite]
    needs_confirmation = False  # whether only a pass that confirms the family allows its use

    @abstractmethod
    def register_hooks(self, recorder: LayerRecorder, edits: "ModelEdits | None" = None) -> list[Callable[[], None]]:
        """Register hooks on the model's modules so that the recorder sees every layer; return functions that remove
        them.

        edits: what the hooks change before the recorder sees it; None to leave the model as it is.
        """

    @abstractmethod
    def parameters(self) -> list[nn.Parameter]:
        """Return all parameters of branches and connections."""

    @abstractmethod
    def find_inner(self) -> nn.Module:
        """Return a module of the first layer. The attention mask is searched in the arguments of modules around it."""

    @abstractmethod
    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        """Return a state, or its gradient, as (n, N, C), with samples in the order of the sequences."""

    def to_rows(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input or output of a branch, (..., C), as (N, C)."""
        return x.flatten(0, -2)

    def from_streams(self, x_nNC: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return streams as a state with the axes of another one: the inverse of `to_streams`."""
        raise AssertionError("no stream of this family can be edited")

    def from_rows(self, x_NC: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return rows with the axes of another input or output of a branch: the inverse of `to_rows`."""
        return x_NC.reshape(like.shape)

    def edits_for(self, layer: "JoinedLayer") -> Sequence[What]:
        """List what edits can change in a layer, given its tensors in a pass without edits."""
        return ()

    def find_parts(self, layer: "JoinedLayer") -> Sequence[nn.Module]:
        """List the modules of a layer in which attention heads are searched."""
        return ()

    def count_layers(self) -> int:
        """Return the number of layers of a complete pass; it may be known only after one has run."""
        return len(self.sites)

    def explain(self) -> SpecError | None:
        """Return why the model's pass was not recorded completely, as an error; None if nothing unexpected happened."""
        return None

    def find_excess(self) -> SpecError | None:
        """Return the error to raise if the layers of a complete pass are joined by more than the state; else None."""
        return None

    @abstractmethod
    def matches(self, recorded: "JoinedPasses", autocast: torch.dtype | None) -> bool:
        """Return whether the states and coefficients of a complete pass obey the equations of this family."""

    @abstractmethod
    def propose(self, sites: Sequence[int]) -> str | None:
        """Return the argument `layers=` that lists these sites, as an expression of `model`; None if there is none."""

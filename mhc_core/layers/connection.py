"""How layers are joined: one interface for every family.

Shapes: N = B * T samples, n streams, C width, L layers. A family chooses the layout of its state and keeps it to
itself; `streams` shows any state as (n, N, C), or (n, N, C / n) where streams are parts of the width. Coefficients are
float32, or float64 for a float64 run.

A stack calls, for each layer: mixing = at(layer, state), u = read(state, mixing), y = F(u),
state, mixing = leave(layer, state, y, mixing), which is write(state, y, mixing) where there is mixing. Before the first
layer `expand` makes the state of the embedding; after the last `reduce` collapses it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_core.layers.expansion import build_scale
from mhc_core.layers.norms import normalise
from mhc_core.layers.output import build_output
from mhc_core.layers.stream_products import read_streams, write_streams
from mhc_core.spec import RunSpec


class Mixing(NamedTuple):
    """Coefficients of one layer, or of all layers with a leading axis L.

    x'[i] = sum_j h_res[i, j] x[j] + h_post[i] F(sum_j h_pre[j] x[j])      (mHC, arXiv 2512.24880, Eq. 3)

    h_pre, h_post: (..., n); h_res: (..., n, n), rows index the output. Dynamic families put N before n. A family whose
    branch reads every stream apart has a matrix h_pre, (..., n, n), rows index what is read.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor


class GatedMixing(NamedTuple):
    """Mixing of one layer whose branch reads every feature of a stream with a weight of its own.

        x'[i] = sum_j h_res[i, j] x[j] + h_post[i] F(sum_j features[j] * x[j])

    features: (N, n, C). h_pre: (N, n), their mean over features, without a gradient. h_post, h_res: as in `Mixing`.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor
    features: torch.Tensor


class RecordedMixing(NamedTuple):
    """Mixing of one layer of a model from elsewhere, whose branch reads each feature with a gate.

    gates: (N, n, C), of the features that `pick_features` keeps; of streams of the size 1, and times n. h_pre (N, n),
    h_post, h_res: as in `Mixing`.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor
    gates: torch.Tensor


class PassedMixing(NamedTuple):
    """Mixing of one layer that reads with weights which the layer before it has made, and makes those of the next.

    h_pre: (N, n), as the state has passed it on. h_post, h_res: as in `Mixing`. h_next: (N, n), made of this state.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor
    h_next: torch.Tensor


EditOfWeights = Callable[[torch.Tensor], torch.Tensor]
"""Takes the weights of K sources, (K, N, H) or (K, 1, 1), and returns as many; autograd can differentiate it."""


class Query(NamedTuple):
    """Parameters of the attention over depth after one layer: a query (C), and the gate of its sum (), or 1."""

    query: torch.Tensor
    gate: torch.Tensor

    def with_edit(self, edit: EditOfWeights) -> "EditedQuery":
        """Return the query of attention over depth with an edit that changes its weights."""
        return EditedQuery(self.query, self.gate, edit)


class EditedQuery(NamedTuple):
    """A `Query` whose attention an edit changes before the sources are summed."""

    query: torch.Tensor
    gate: torch.Tensor
    edit: EditOfWeights


class DepthReads(NamedTuple):
    """How sources are weighed after one layer, where layers read earlier outputs: see `mhc_core.layers.depth`.

    attention: (K, N, H), coefficients of K sources for each sample and head; (K, 1, 1) where all share them. Those of a
        softmax sum to 1, unless edited. Empty where nothing is weighed.
    weights: (J), those of the embedding and of each output so far in the sum of sources: means over samples and heads,
        without a gradient.
    """

    attention: torch.Tensor
    weights: torch.Tensor


Made = Any
"""The coefficients that a layer has used: `Mixing`, `GatedMixing`, `PassedMixing`, or `DepthReads` without mixing."""

WithStreams = Mixing | GatedMixing | PassedMixing | RecordedMixing
"""The coefficients of a layer that reads and writes streams."""

MATRICES = ("h_pre", "h_read", "h_post", "h_res")  # as results name them; a matrix h_pre is called h_read


def group_coefficients(mixings: Sequence[WithStreams]) -> dict[str, list[torch.Tensor]]:
    """Group the coefficients of layers by column name: a read that is a matrix for each layer is `h_read`."""
    read = "h_read" if mixings[0].h_pre.ndim == mixings[0].h_res.ndim else "h_pre"
    return {
        read: [m.h_pre for m in mixings],
        "h_post": [m.h_post for m in mixings],
        "h_res": [m.h_res for m in mixings],
    }


class Connection(nn.Module, ABC):
    """One family's parameters for all layers, and its arithmetic.

    `sample_axis` is the axis N of a state.
    """

    sample_axis = 0

    def __init__(self, spec: RunSpec, streams: int) -> None:
        super().__init__()
        self.layers, self.width, self.n = spec.depth, spec.width, streams
        self.state_width = streams * spec.width  # entries of a state for each sample
        self.coefficient_dtype = torch.float64 if spec.dtype == "float64" else torch.float32

    @abstractmethod
    def static_mixing(self) -> Mixing | None:
        """Coefficients of all layers at once where no token can change them, else None."""

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Any:
        """The `Mixing` of one layer for each sample of the state.

        Without mixing: the parameters that weigh the sources after the branch, such as a `Query`. Their method
        `with_edit` takes an `EditOfWeights` and returns parameters whose weights this edit changes.
        """
        raise AssertionError("a static family's coefficients do not come from the state")

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        """Mixing parameters that belong to one layer alone (dynamic families); [] where layers are stacked."""
        return []

    def stacked_parameters(self) -> list[nn.Parameter]:
        """Mixing parameters with a leading axis L (static families)."""
        return []

    def output_parameters(self) -> list[nn.Parameter]:
        """The `stacked_parameters` that weigh the streams in the output too."""
        return []

    def residual_logits(self, layer: int) -> nn.Parameter | None:
        """The raw parameter that a map turns into h_res: of one layer where mixing is dynamic, else of all (L, ...).

        None where h_res is a parameter itself, or fixed.
        """
        return None

    def raw_residual(self) -> nn.Parameter | None:
        """The raw parameter behind static h_res, of all layers (L, ...), on which the drift is drawn; None without."""
        return self.residual_logits(0) if self.static_mixing() is not None else None

    @abstractmethod
    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        """The state before the first layer."""

    @abstractmethod
    def read(self, state: torch.Tensor, mixing: Any) -> torch.Tensor:
        """The branch input sum_j h_pre[j] x[j], (N, C)."""

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Any) -> torch.Tensor:
        """Return the state after a layer, H_res x + H_post y, from the state x before it and the branch output y.

        A family without mixing matrices overrides `leave`, which calls this.
        """
        raise AssertionError("`leave` must be overridden where there is no mixing")

    def leave(self, layer: int, state: torch.Tensor, y_NC: torch.Tensor, mixing: Any) -> tuple[torch.Tensor, Made]:
        """The state after a layer, and the coefficients of the mixing that made it."""
        return self.write(state, y_NC, mixing), mixing

    def normalise(self, state: torch.Tensor, norm: str) -> torch.Tensor:
        """The state after the norm of post-norm stacks: over each stream, or over all parts of the width together."""
        return normalise(state, norm)

    @abstractmethod
    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        """The stack's output (N, C)."""

    @abstractmethod
    def streams(self, state: torch.Tensor) -> torch.Tensor:
        """Any state, or its gradient, as (n, N, C), without a copy."""

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return a state with these streams (n, N, C), the inverse of `streams`; all else in it is that of `state`."""
        raise AssertionError("a family whose state holds more than its streams must override join_streams")

    def split_fresh(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The part of a state that was copied from the state before, and the part that its layer has computed; joined
        they are the state.
        """
        return state[:0], state

    def gather_input_grad(self, grad: torch.Tensor) -> torch.Tensor:
        """The gradient at the embedding of each stream, from the gradient at the state before the first layer."""
        return grad

    def merge(self, x: torch.Tensor) -> torch.Tensor:
        """The streams (..., n, N, C) merged into one state, (..., N, C): their mean."""
        return x.mean(-3)

    def merge_grad(self, grad: torch.Tensor) -> torch.Tensor:
        """The gradient at the merged state, (..., N, C): a shift common to all streams has the sum of gradients."""
        return grad.sum(-3)


class SingleStream(Connection):
    """Layout (N, C): one stream."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec, streams=1)

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return x_NC

    def read(self, state: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        """Return the state as the branch input, as a node of its own in the graph of gradients."""
        # A node of its own in the graph: the gradient at u must not include what passes the branch by.
        return state.view_as(state)

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        return state

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state.unsqueeze(0)

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return x_nNC[0]


class OverDepth(Connection):
    """Layout (K + 1, N, C): the sources, and last the input of the next layer, which is the one stream."""

    sample_axis = 1

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec, streams=1)

    def static_mixing(self) -> Mixing | None:
        return None

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return torch.stack([x_NC, x_NC])

    def read(self, state: torch.Tensor, mixing: object) -> torch.Tensor:
        """Return the last entry of the state, the weighted sum of sources, as the branch input (N, C)."""
        # A node of its own in the graph: the gradient at u must not include what passes the branch by.
        return state[-1].view_as(state[-1])

    def normalise(self, state: torch.Tensor, norm: str) -> torch.Tensor:
        return torch.cat([state[:-1], normalise(state[-1:], norm)])

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        return state[-1]

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state[-1:]

    def split_fresh(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Split a state into sources copied from the state before, and the two entries that its layer has computed."""
        # The entry before the last may be older, in the middle of a block.
        return state[:-2], state[-2:]

    def gather_input_grad(self, grad: torch.Tensor) -> torch.Tensor:
        """Sum the gradient over all sources, because every one of them starts at the embedding; (1, N, C)."""
        # The embedding is weighed over depth, and is what the first layer reads.
        return grad.sum(0, keepdim=True)


class Copying(Connection):
    """Every stream starts as a copy of the embedding, or as the embedding times a vector of its own (`expand_scale`).

    eps: is for the weights of a learned head.
    """

    def __init__(self, spec: RunSpec, eps: float = 0.0) -> None:
        super().__init__(spec, spec.streams)
        self.output = build_output(spec, eps)
        self.expand_scale = build_scale(spec)

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        """Return the output of the stack (N, C): mean, sum or weighted sum of the streams, as the spec says."""
        out: torch.Tensor = self.output(self.streams(state))
        return out


class StreamMajor(Copying):
    """Layout (n, N, C) for static mixing: one n x n by n x (N C) product a layer."""

    sample_axis = 1

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return _scale(x_NC.unsqueeze(0).repeat(self.n, 1, 1), self.expand_scale, 1)

    def gather_input_grad(self, grad: torch.Tensor) -> torch.Tensor:
        return _scale(grad, self.expand_scale, 1)

    def read(self, state: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        """Return the branch input sum_j H_pre[j] x[j], (N, C), of streams stored as (n, N, C)."""
        flat = state.flatten(1).to(mixing.h_pre.dtype)
        return (mixing.h_pre @ flat).view(state.shape[1:]).to(state.dtype)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        """Return the state after a layer, H_res x + H_post y, of streams stored as (n, N, C)."""
        # In bfloat16 the product is made in the coefficients' float32 and rounded once.
        dtype = mixing.h_res.dtype
        flat, branch = state.flatten(1).to(dtype), y_NC.reshape(1, -1).to(dtype)
        mixed = torch.addmm(mixing.h_post.unsqueeze(1) * branch, mixing.h_res, flat)
        return mixed.view(state.shape).to(state.dtype)

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return x_nNC


class SampleMajor(Copying):
    """Layout (N, n, C) for dynamic mixing: one batched n x n by n x C product a layer."""

    def static_mixing(self) -> Mixing | None:
        return None

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return _scale(x_NC.unsqueeze(1).repeat(1, self.n, 1), self.expand_scale, 0)

    def gather_input_grad(self, grad: torch.Tensor) -> torch.Tensor:
        return _scale(grad, self.expand_scale, 0)

    def read(self, state: torch.Tensor, mixing: Mixing | PassedMixing) -> torch.Tensor:
        return read_streams(state.to(mixing.h_pre.dtype), mixing.h_pre).to(state.dtype)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing | PassedMixing) -> torch.Tensor:
        """Return the state after a layer, H_res x + H_post y, with streams and coefficients of each sample."""
        dtype = mixing.h_res.dtype
        return write_streams(state.to(dtype), y_NC.to(dtype), mixing.h_post, mixing.h_res).to(state.dtype)

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state.transpose(0, 1)

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return x_nNC.transpose(0, 1).contiguous()


def _scale(state: torch.Tensor, scale_nC: torch.Tensor | None, axis: int) -> torch.Tensor:
    """Multiply every stream by its vector (C); `axis` is the samples' axis, along which the vectors are repeated."""
    return state if scale_nC is None else (state * scale_nC.unsqueeze(axis)).to(state.dtype)

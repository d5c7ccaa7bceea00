"""The interface of connections, which join the layers of a stack. Every family implements it.

Shapes: N = B * T samples, n streams, C width, L layers. Each family has its own layout of the state, which no other
code knows; `streams` shows any state as (n, N, C), or as (n, N, C / n) if streams are parts of the width. Coefficients
are float32, or float64 for a float64 run.

For each layer, a stack computes u = read(state, mixing), y = F(u) and state, mixing = leave(layer, state, y, mixing),
where `mixing` are the coefficients of that layer, from `static_mixing` or `dynamic_mixing`. With mixing matrices,
`leave` is write(state, y, mixing). `expand` makes the first state from the embedding, and `reduce` the output from the
last state.
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

    h_pre, h_post: (..., n); h_res: (..., n, n), rows index the output. In dynamic families an axis N precedes n. If the
    branch reads n separate sums, as in Frac-Connections, h_pre is a matrix (..., n, n), and rows index these sums.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor


class GatedMixing(NamedTuple):
    """Mixing of one layer whose branch reads each feature of each stream with a separate weight.

        x'[i] = sum_j h_res[i, j] x[j] + h_post[i] F(sum_j features[j] * x[j])

    features: (N, n, C). h_pre: (N, n), their mean over features, without a gradient. h_post, h_res: as in `Mixing`.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor
    features: torch.Tensor


class RecordedMixing(NamedTuple):
    """Mixing of one layer of someone else's model, whose branch reads each feature with a gate.

    gates: (N, n, C) with the features that `pick_features` keeps. They are the weights of streams normalised to rms 1,
    times n. h_pre (N, n), h_post, h_res: as in `Mixing`.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor
    gates: torch.Tensor


class PassedMixing(NamedTuple):
    """Mixing of one layer that reads with the weights which the layer before it computed, and computes those of the
    next layer.

    h_pre: (N, n), the weights in the state. h_post, h_res: as in `Mixing`. h_next: (N, n), computed from this state.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor
    h_next: torch.Tensor


EditOfWeights = Callable[[torch.Tensor], torch.Tensor]
"""A function from the weights of K sources, (K, N, H) or (K, 1, 1), to edited weights of the same shape. Autograd can
differentiate it.
"""


class Query(NamedTuple):
    """Parameters of the attention over depth after one layer: the query (C), and the gate of the weighted sum, a scalar
    tensor (1 if the family has no gates).
    """

    query: torch.Tensor
    gate: torch.Tensor

    def with_edit(self, edit: EditOfWeights) -> "EditedQuery":
        """Return this query with an edit of the attention weights that it leads to."""
        return EditedQuery(self.query, self.gate, edit)


class EditedQuery(NamedTuple):
    """A `Query` with an edit, which changes the attention weights before the sources are summed."""

    query: torch.Tensor
    gate: torch.Tensor
    edit: EditOfWeights


class DepthReads(NamedTuple):
    """The weights of sources over depth after one layer, in connections without mixing: see `mhc_core.layers.depth`.

    attention: (K, N, H), the weight of each source for each sample and head; (K, 1, 1) if all samples share them. The
        weights of a softmax sum to 1, unless edited. Empty if no weighted sum follows this layer.
    weights: (J), the weights of the embedding and of each output so far in the sum of sources: means over samples and
        heads, without a gradient.
    """

    attention: torch.Tensor
    weights: torch.Tensor


Made = Any
"""The coefficients that a layer has used: `Mixing`, `GatedMixing` or `PassedMixing`; without mixing, `DepthReads`."""

WithStreams = Mixing | GatedMixing | PassedMixing | RecordedMixing
"""The coefficients of a layer that reads and writes streams."""

MATRICES = ("h_pre", "h_read", "h_post", "h_res")  # names in results, where an h_pre that is a matrix is h_read


def group_coefficients(mixings: Sequence[WithStreams]) -> dict[str, list[torch.Tensor]]:
    """Return the coefficients of all layers by column name. If H_pre is a matrix in each layer, it is `h_read`."""
    read = "h_read" if mixings[0].h_pre.ndim == mixings[0].h_res.ndim else "h_pre"
    return {
        read: [m.h_pre for m in mixings],
        "h_post": [m.h_post for m in mixings],
        "h_res": [m.h_res for m in mixings],
    }


class Connection(nn.Module, ABC):
    """The parameters of one family's mixing for all layers, and how states are read and written.

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
        """Return the coefficients of all layers in one `Mixing` if they do not depend on tokens, else None."""

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Any:
        """Return the `Mixing` of one layer, computed for each sample from the state.

        Families without mixing return the parameters of the weighted sum of sources after the branch, such as a
        `Query`. Their method `with_edit` takes an `EditOfWeights` and returns parameters with this edit.
        """
        raise AssertionError("a static family's coefficients do not come from the state")

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        """Return the mixing parameters of one layer (dynamic families); [] if parameters have a leading axis L."""
        return []

    def stacked_parameters(self) -> list[nn.Parameter]:
        """Return the mixing parameters with a leading axis L (static families)."""
        return []

    def output_parameters(self) -> list[nn.Parameter]:
        """Return those of `stacked_parameters` that also determine the weights of streams in the output."""
        return []

    def residual_logits(self, layer: int) -> nn.Parameter | None:
        """Return the raw parameter that a map turns into h_res: of one layer if mixing is dynamic, else of all layers,
        (L, ...).

        None if h_res is itself a parameter, or is fixed.
        """
        return None

    def raw_residual(self) -> nn.Parameter | None:
        """Return the raw parameter of static h_res of all layers, (L, ...), to which the drift is added; None if there
        is none.
        """
        return self.residual_logits(0) if self.static_mixing() is not None else None

    @abstractmethod
    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        """Return the state before the first layer, made from the embedding (N, C)."""

    @abstractmethod
    def read(self, state: torch.Tensor, mixing: Any) -> torch.Tensor:
        """Return the branch input sum_j h_pre[j] x[j], (N, C)."""

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Any) -> torch.Tensor:
        """Return the state after a layer, H_res x + H_post y, from the state x before it and the branch output y.

        A family without mixing matrices overrides `leave`, which calls this.
        """
        raise AssertionError("`leave` must be overridden where there is no mixing")

    def leave(self, layer: int, state: torch.Tensor, y_NC: torch.Tensor, mixing: Any) -> tuple[torch.Tensor, Made]:
        """Return the state after a layer, and the coefficients with which it was computed."""
        return self.write(state, y_NC, mixing), mixing

    def normalise(self, state: torch.Tensor, norm: str) -> torch.Tensor:
        """Return the state after the norm of post-norm stacks. It is over each stream; if streams are parts of the
        width, over the whole width.
        """
        return normalise(state, norm)

    @abstractmethod
    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        """Return the stack's output (N, C), made from the last state."""

    @abstractmethod
    def streams(self, state: torch.Tensor) -> torch.Tensor:
        """Return a view of any state, or of its gradient, as streams (n, N, C)."""

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return a state with these streams (n, N, C), the inverse of `streams`. Its other entries are those of
        `state`.
        """
        raise AssertionError("a family whose state holds more than its streams must override join_streams")

    def split_fresh(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Split a state into the part copied from the state before, and the part that its layer has computed.
        Concatenated, the two are the state.
        """
        return state[:0], state

    def gather_input_grad(self, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to each stream's embedding, from that with respect to the first state."""
        return grad

    def merge(self, x: torch.Tensor) -> torch.Tensor:
        """Return the streams (..., n, N, C) merged into one state, (..., N, C): their mean."""
        return x.mean(-3)

    def merge_grad(self, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to the merged state, (..., N, C): that of a change common to all streams,
        which is the sum of their gradients.
        """
        return grad.sum(-3)


class SingleStream(Connection):
    """Layout (N, C): one stream."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec, streams=1)

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return x_NC

    def read(self, state: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        """Return the state as the branch input, in a separate node of the autograd graph."""
        # Without a separate node, the gradient at u would include that of the path around the branch.
        return state.view_as(state)

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        return state

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state.unsqueeze(0)

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return x_nNC[0]


class OverDepth(Connection):
    """A connection without mixing, with layout (K + 1, N, C): K sources, then the input of the next layer, which is the
    only stream.
    """

    sample_axis = 1

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec, streams=1)

    def static_mixing(self) -> Mixing | None:
        return None

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return torch.stack([x_NC, x_NC])

    def read(self, state: torch.Tensor, mixing: object) -> torch.Tensor:
        """Return the last entry of the state, the weighted sum of sources, as the branch input (N, C)."""
        # Without a separate node, the gradient at u would include that of the path around the branch.
        return state[-1].view_as(state[-1])

    def normalise(self, state: torch.Tensor, norm: str) -> torch.Tensor:
        return torch.cat([state[:-1], normalise(state[-1:], norm)])

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        return state[-1]

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state[-1:]

    def split_fresh(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Split a state into sources copied from the state before, and the two entries that its layer has computed."""
        # In the middle of a block of DenseFormer, the entry before the last is a copy as well.
        return state[:-2], state[-2:]

    def gather_input_grad(self, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to the embedding, (1, N, C): the sum over both entries of the state."""
        # The embedding is the first source, and also the input of the first layer.
        return grad.sum(0, keepdim=True)


class Copying(Connection):
    """A connection whose streams all start as the embedding, or as the embedding times one vector per stream
    (`expand_scale`).

    eps: added to the weights of a learned head; default 0.
    """

    def __init__(self, spec: RunSpec, eps: float = 0.0) -> None:
        super().__init__(spec, spec.streams)
        self.output = build_output(spec, eps)
        self.expand_scale = build_scale(spec)

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        """Return the output of the stack (N, C): mean, sum or weighted sum of the streams, as the spec says."""
        return self.output(self.streams(state))


class StreamMajor(Copying):
    """Layout (n, N, C) for static mixing: one n x n by n x (N C) product per layer."""

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
        # In a bfloat16 run, the product is computed in float32, the type of the coefficients, and rounded once.
        dtype = mixing.h_res.dtype
        flat, branch = state.flatten(1).to(dtype), y_NC.reshape(1, -1).to(dtype)
        mixed = torch.addmm(mixing.h_post.unsqueeze(1) * branch, mixing.h_res, flat)
        return mixed.view(state.shape).to(state.dtype)

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return x_nNC


class SampleMajor(Copying):
    """Layout (N, n, C) for dynamic mixing: one batched n x n by n x C product per layer."""

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
    """Multiply each stream by its vector (C), which is the same for all samples. `axis` is the axis N of the state."""
    return state if scale_nC is None else (state * scale_nC.unsqueeze(axis)).to(state.dtype)

"""The definition of a family (a kind of connection): properties of its mixing, formulas, costs and look.

Other modules use these properties, never the name of a family. `mhc_core/families` has one file per family; another
package adds one through the entry point group `mhc_scope.connections`. This module and the files of families import
torch only inside functions, because clients without torch also read specs and records.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    import torch

Array = np.ndarray
Round = Callable[[Array], Array]
Rule = Callable[[int, int], str | None]
"""A function of the number of streams n and the width: returns a text for an error that says what n must be, or None if
n is allowed.
"""
Streams = Literal["one", "copies", "parts", "source"]
Sums = Literal["exact", "rounds", "limit", "free"]
WeighsAfter = Literal["layer", "block"]
Drawn = Literal["nothing", "entries", "weights", "logits", "queries"]
Group = Literal["One stream", "Free mixing", "Doubly stochastic", "Orthogonal", "Other constraints", "Earlier outputs"]
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True)
class Look:
    """The look of a family in figures: its colour in each theme, dash, marker, and the width of its lines in pixels."""

    light: str
    dark: str
    dash: str
    marker: str
    width: float = 2.0


@dataclass(frozen=True)
class Use:
    """A released model with a family's connection, the source of its code, and its date (YYYY-MM-DD, "" if unknown)."""

    model: str
    source: str
    date: str = ""


@dataclass(frozen=True)
class PageMap:
    """The formula with which the page computes H_res while a slider moves.

    formula: the name of a file in `static/js/derived/maps`.
    layers: largest number of layers for which the page's float32 products agree with ours to 1e-6; None (default) for
        no limit. exp() in float32 differs in the last place between machines, and these errors add up over layers: to
        at most 8e-7 in 250 draws of 128 layers.
    """

    formula: str
    layers: int | None = None


@dataclass(frozen=True)
class MapSettings:
    """The settings of a residual map.

    streams: n. rounds, eps: of Sinkhorn, used only by iterating families. depth: number of layers of the stack, used
    only by families with `by_depth`.
    """

    streams: int
    rounds: int = 20
    eps: float = 0.0
    depth: int = 1


class ResidualMap(ABC):
    """A map from m raw logits to an n x n residual mixing matrix."""

    eps = 0.0  # added to H_pre and to the weights of a learned head, as in DeepSeek-V4

    def __init__(self, settings: MapSettings) -> None:
        self.n = settings.streams

    @abstractmethod
    def start(self, certainty: float) -> list[float]:
        """Return the m initial logits of H_res of one layer, without drift.

        certainty: the difference between the logit of the identity and the others. For 8, H_res is near the identity.
        """

    @abstractmethod
    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Map logits (..., m) to matrices (..., n, n); rows index the output."""


@dataclass(frozen=True)
class ReferenceRead:
    """The read of earlier outputs after a layer, in numpy.

    weights_KNH: weights of the K sources, (K, N, H), or (K, 1, 1) if all samples and heads share them. read_NC: the
    weighted sum, (N, C), after the post-norm, if any. weights_J: mean weights of the embedding and each output in it.
    """

    weights_KNH: Array
    read_NC: Array
    weights_J: Array


class OwnCosts(ABC):
    """The costs of a family whose parameters are not mixing matrices. `spec` is the spec of a run."""

    calls: int  # operator calls per layer, forward

    @abstractmethod
    def count_parameters(self, spec: Any) -> int:
        """Count the parameters of all layers."""

    @abstractmethod
    def count_operations(self, spec: Any) -> float:
        """Count the operations per token and layer, forward."""

    @abstractmethod
    def count_moved(self, spec: Any) -> float:
        """Count the values read and written per token and layer, forward and backward, in addition to those of the
        residual connection.
        """

    @abstractmethod
    def count_kept(self, spec: Any) -> float:
        """Count the values stored for the backward pass per token and layer, in addition to the state."""


@dataclass(frozen=True)
class Reading:
    """Arguments of `Reads.reference`.

    Attributes
    ----------
    norm: the post-norm; the identity in other stacks.
    weights: weights of the sources after each layer, to use instead of those of the formula; default None.
    edit: a function from a layer and its weights, (K, N, H) or (K, 1, 1), to the weights after the edits of this layer;
        default None.
    """

    norm: Callable[[Array], Array]
    weights: Sequence[Array] | None = None
    edit: Callable[[int, Array], Array] | None = None


class Reads(ABC):
    """The reads of a family without mixing: layers read weighted sums of sources, the embedding and earlier outputs.

    `reference` is the second formula, in numpy, for Verify; the other methods are costs. `spec` is the spec of a run.
    """

    operations: int  # per feature of a weighed source, forward
    calls: int  # operator calls per layer, forward
    weighs_after: WeighsAfter  # each layer, or each block of `depth_block` layers, within which the plain state is read

    @abstractmethod
    def reference(
        self, spec: Any, parameters: dict[str, Array], start_NC: Array, outputs: Sequence[Array], given: Reading
    ) -> list[ReferenceRead]:
        """Compute in numpy the weighted sum of earlier outputs that is read after each layer.

        Parameters
        ----------
        parameters: arrays of the connection by name. start_NC: the embedding. outputs: of each branch, (N, C).
        given: the post-norm, and weights or edits to use.
        """

    @abstractmethod
    def start(self, sources: int) -> Array:
        """Return the initial weights of this number of sources, without drift."""

    @abstractmethod
    def count_parameters(self, spec: Any) -> int:
        """Count the parameters of all layers."""

    @abstractmethod
    def count_sources(self, spec: Any, layer: int) -> int:
        """Return the number of sources after a layer."""

    @abstractmethod
    def count_passes(self, spec: Any) -> float:
        """Return how often the values of a source are read or written, forward and backward."""

    @abstractmethod
    def count_kept(self, spec: Any) -> tuple[int, int]:
        """Return the number of copies of a source stored for the backward pass, and of its other values per sample."""


def _allow_any(n: int, width: int) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Family:
    """A kind of connection.

    Attributes
    ----------
    name: its name in figures and tables. summary: what joins the layers, in a few words. year: of the paper.
    place: its position in lists; families with the same place are sorted by kind.
    look: its style in figures.
    streams: `one`; `copies`: n copies of the embedding; `parts`: n parts of the width; `source`: two streams, the state
        and the embedding.
    skips: whether there is a skip path.
    reads: the reads of the embedding and earlier outputs by weights over depth, for families without mixing; they have
        no metrics of mixing. None for families with H_pre, H_res and H_post.
    rows, columns: whether the row and column sums of H_res are 1. exact: by construction. rounds: after a Sinkhorn
        round without eps. limit: in the limit of many rounds. free: they can have any value.
    norm_bounded: whether the spectral norm of H_res is at most 1 by construction.
    signed: whether entries of H_res can be negative.
    orthogonal: whether all singular values of H_res are 1 by construction.
    iterates: whether Sinkhorn rounds and eps are settings of this family.
    by_token: whether mixing can depend on tokens. always_by_token: whether it always does, without a static form.
    by_feature: whether the branch reads each feature of a stream with a separate weight, from low-rank gates. H_pre is
        then the mean of these weights over features.
    has_rank: whether the family has low-rank maps, so that the field `gate_rank` applies.
    has_head: whether the default output of the stack is a learned head of this family.
    by_depth: whether H_res of a layer depends on the depth of the stack, so that the first layers of a deeper stack
        differ. With a page map, H_pre and H_post must not depend on the depth.
    drawn: the parameters to which the drift is added. entries: H_res = I + s G. weights: the learned entries of H_res,
        the weights of sources, or the numbers that determine the weights of branch and skip path.
        logits: the raw logits of the map.
        queries: the queries with which sources are weighed, q = s G.
    logits: number of parameters of one layer's H_res, by n.
    operations: additions and multiplications of the map per token and layer, by n and rounds.
    map_calls: operator calls of the map per layer with dynamic mixing, in addition to the Sinkhorn rounds.
    rule: the allowed values of n.
    map: the class that maps logits to H_res. Families with a map have the same sigmoids of H_pre and H_post, projection
        of tokens and initialisations (mHC, arXiv 2512.24880, Eq. 7).
    map_reference: the formula of the map in numpy, for Verify: a function of logits (..., m), settings, and a rounding
        function to apply after each operation, which returns (..., n, n).
    build: for families without a map: the function of a spec that returns the connection, as "module:function".
    mixing_reference: for families without a map: the formula of all coefficients in numpy, for Verify. Its arguments
        are one layer's parameters by name, and the streams (N, n, C), or None for static mixing; it returns H_pre,
        H_post and H_res. With `by_feature`, the first one is the weights of features, (N, n, C).
    pass_reference: for families that change features of the streams before H_res multiplies them: this change in
        numpy, a function of one layer's parameters by name and the streams (n, N, C).
    costs: the costs of a family whose parameters are neither those of a map nor mixing matrices.
    solved: the family with the limit of many rounds instead of their result, if `projection` is newton; None if this
        cannot be chosen.
    page_map: the map's formula on the page; without it, the page waits for the server while a slider moves.
    paper: the source of the definition, such as "arXiv 2512.24880". parent: the kind of the family that it changes.
    keeps, gives_up: what the family keeps from its parent or a residual network, and what it gives up, in a few words.
    uses: released models with this connection.

    A map or `build` may be a string "module:name", which is imported when a stack is built.
    """

    name: str
    summary: str
    look: Look
    year: int | None = None
    place: int = 1000
    streams: Streams = "copies"
    skips: bool = True
    reads: Reads | None = None
    rows: Sums = "exact"
    columns: Sums = "exact"
    norm_bounded: bool = True
    signed: bool = False
    orthogonal: bool = False
    iterates: bool = False
    by_token: bool = True
    always_by_token: bool = False
    by_feature: bool = False
    has_rank: bool = False
    has_head: bool = False
    by_depth: bool = False
    drawn: Drawn = "logits"
    logits: Callable[[int], int] = lambda n: n * n
    operations: Callable[[int, int], float] = lambda n, rounds: 0.0
    map_calls: int = 0
    rule: Rule = _allow_any
    map: str | Callable[[MapSettings], ResidualMap] | None = None
    map_reference: Callable[[Array, MapSettings, Round], Array] | None = None
    build: str | Callable[[Any], Any] | None = None
    mixing_reference: Callable[[dict[str, Array], Array | None], tuple[Array, Array, Array]] | None = None
    pass_reference: Callable[[dict[str, Array], Array], Array] | None = None
    costs: OwnCosts | None = None
    solved: "Family | None" = None
    page_map: PageMap | None = None
    paper: str | None = None
    parent: str | None = None
    keeps: str = ""
    gives_up: str = ""
    uses: tuple[Use, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError unless there is either a map or a build function, and the numpy formula for Verify."""
        if (self.map is None) == (self.build is None):
            raise ValueError(f"Family {self.name!r} needs either a map or a build function, and not both.")
        needed = "map_reference" if self.map is not None else "mixing_reference"
        if self.has_streams and getattr(self, needed) is None:
            raise ValueError(f"Family {self.name!r} needs {needed}: Verify compares its coefficients with it.")

    @property
    def has_streams(self) -> bool:
        """Return whether the family has several streams."""
        return self.streams != "one"

    @property
    def fixed_streams(self) -> int | None:
        """Return the number of streams; None if the spec chooses it."""
        return {"one": 1, "source": 2}.get(self.streams)

    @property
    def has_mixing(self) -> bool:
        """Return whether layers are joined by H_pre, H_res and H_post, which may be constant."""
        return self.reads is None

    @property
    def has_coefficients(self) -> bool:
        """Return whether layers are joined by coefficients that are not constant."""
        return self.has_streams or self.mixing_reference is not None

    @property
    def attends(self) -> bool:
        """Return whether layers weigh earlier outputs by attention over depth, so that the fields `depth_` apply."""
        return self.drawn == "queries"

    @property
    def is_mapped(self) -> bool:
        """Return whether H_res is computed from logits by a map, so that initialisations and mixing precision apply."""
        return self.map is not None

    @property
    def keeps_sums(self) -> bool:
        """Return whether rows and columns of H_res sum to 1 by construction, or in the limit of many rounds."""
        return self.has_streams and self.rows != "free" and self.columns != "free"

    @property
    def has_unit_sums(self) -> bool:
        """Return whether H_res mixes several streams, and its rows and columns sum to 1 by construction."""
        return self.has_streams and self.rows == self.columns == "exact"

    @property
    def is_row_stochastic(self) -> bool:
        """Return whether H_res mixes several streams, no entry is below 0, and only rows sum to 1 by construction."""
        return self.has_streams and self.rows == "exact" and self.columns == "free" and not self.signed

    @property
    def group(self) -> Group:
        """Return the heading of the family in lists: the constraint of its mixing, in the limit of many rounds."""
        if self.reads is not None:
            return "Earlier outputs"
        if not self.has_streams:
            return "One stream"
        if self.drawn == "entries":
            return "Free mixing"
        if self.orthogonal and not self.is_identity:
            return "Orthogonal"
        return (
            "Doubly stochastic" if self.keeps_sums and not self.signed and not self.is_identity else "Other constraints"
        )

    @property
    def is_doubly_stochastic(self) -> bool:
        """Return whether H_res mixes several streams, has no negative entry, and its sums are 1 by construction."""
        return self.has_unit_sums and not self.signed

    @property
    def is_identity(self) -> bool:
        """Return whether H_res of several streams is always the identity."""
        return self.has_streams and self.drawn == "nothing" and self.orthogonal

    @cached_property  # it is read about a hundred times for the prediction of a run with edits
    def without_constraints(self) -> "Family":
        """Return the family without the properties of its matrices, which need not hold if mixing is edited."""
        return replace(self, rows="free", columns="free", norm_bounded=False, signed=True, orthogonal=False)


def compute_sigmoid(t: Array) -> Array:
    """Compute 1 / (1 + exp(-t)) in numpy, independently of torch, for Verify."""
    found: Array = 0.5 * (1 + np.tanh(0.5 * t))
    # 1 + tanh is inaccurate for values close to 0.
    small = np.exp(np.minimum(t, 0))
    return np.where(t < 0, small / (1 + small), found)


def divide_by_rms(x: Array) -> Array:
    """Divide by the root mean square of the last axis in numpy, independently of torch, for Verify."""
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + TINY)


TINY = 1e-20  # added to the mean square in every norm, as in the mHC paper

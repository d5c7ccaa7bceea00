"""What the program must know of a kind of connection: the properties of its mixing, its formulas, its look.

Other modules read these properties and never ask for a name. `mhc_core/families` has one file per family; another
package adds one through the entry point group `mhc_scope.connections`. This module and the files of families import
torch only inside functions: a client without torch reads specs and records too.
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
"""Takes streams n and the width; returns what n must be, as an error says it, or None where n is allowed."""
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
    """A released model with a family's connection, where its code can be read, since when (YYYY-MM-DD, if known)."""

    model: str
    source: str
    date: str = ""


@dataclass(frozen=True)
class PageMap:
    """The formula by which the page computes H_res itself while a slider moves.

    formula: a key of `MAPS` in `static/js/instant/maps.js`.
    layers: up to which float32 products agree with ours to 1e-6; None for no limit. exp() of float32 differs in the
        last place from machine to machine, and what that leaves of each matrix adds up: 8e-7 at most over 250 draws of
        128 layers.
    """

    formula: str
    layers: int | None = None


@dataclass(frozen=True)
class MapSettings:
    """The settings of a residual map.

    streams: n. rounds, eps: of Sinkhorn, which only an iterating family reads. depth: layers of the stack, which only
    a family with `by_depth` reads.
    """

    streams: int
    rounds: int = 20
    eps: float = 0.0
    depth: int = 1


class ResidualMap(ABC):
    """A map from m raw logits to an n x n residual mixing matrix."""

    eps = 0.0  # added to H_pre and to a learned head, as one implementation does

    def __init__(self, settings: MapSettings) -> None:
        self.n = settings.streams

    @abstractmethod
    def start(self, certainty: float) -> list[float]:
        """Return the m initial logits of H_res of one layer, before noise; a larger `certainty` is nearer to the
        identity.

        certainty: by how much the logit that keeps streams apart exceeds the others: 8 is near the identity.
        """

    @abstractmethod
    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Map logits (..., m) to matrices (..., n, n); rows index the output."""


@dataclass(frozen=True)
class ReferenceRead:
    """Sum of sources after a layer: coefficients of the K sources, (K, N, H), or (K, 1, 1) where all samples and heads
    share them; the sum (N, C), normed where a norm follows the layer; and the mean weight of each output in it (J).
    """

    weights_KNH: Array
    read_NC: Array
    weights_J: Array


class OwnCosts(ABC):
    """Costs of a family whose parameters are no matrices of mixing; every method takes the spec of a run."""

    calls: int  # of operators, for each layer

    @abstractmethod
    def count_parameters(self, spec: Any) -> int:
        """Count the parameters of all layers."""

    @abstractmethod
    def count_operations(self, spec: Any) -> float:
        """Count the operations of one token in one layer, forward."""

    @abstractmethod
    def count_moved(self, spec: Any) -> float:
        """Count the values that one token reads and writes in one layer, forward and backward, beyond those of the
        residual connection.
        """

    @abstractmethod
    def count_kept(self, spec: Any) -> float:
        """Count the values that one token keeps in one layer for the backward pass, beyond the state."""


@dataclass(frozen=True)
class Reading:
    """Arguments of `Reads.reference`.

    Attributes
    ----------
    norm: the norm that follows a layer. weights: the coefficients of each layer, in place of those of the formula.
    edit: takes a layer and the weights that it reads by, (K, N, H) or (K, 1, 1), and returns them after its edits.
    """

    norm: Callable[[Array], Array]
    weights: Sequence[Array] | None = None
    edit: Callable[[int, Array], Array] | None = None


class Reads(ABC):
    """How layers of a family read sources, which are made of the embedding and earlier outputs, in place of mixing.

    Every method takes the spec of a run. `reference` is the second formula, in numpy, with which Verify compares; the
    others are the costs.
    """

    operations: int  # for each feature of a source that is weighed, forward
    calls: int  # of operators, for each layer
    weighs_after: WeighsAfter  # each layer, or each block of `depth_block` layers; in a block the plain state is read

    @abstractmethod
    def reference(
        self, spec: Any, parameters: dict[str, Array], start_NC: Array, outputs: Sequence[Array], given: Reading
    ) -> list[ReferenceRead]:
        """Compute in numpy the weighted sum of earlier outputs that is read after every layer.

        Parameters
        ----------
        parameters: arrays of the connection by name. start_NC: the embedding. outputs: one for each branch, (N, C).
        given: the norm that follows a layer, and coefficients in place of those of the formula.
        """

    @abstractmethod
    def start(self, sources: int) -> Array:
        """Return the coefficients of that many sources before the drift."""

    @abstractmethod
    def count_parameters(self, spec: Any) -> int:
        """Count the parameters of all layers."""

    @abstractmethod
    def count_sources(self, spec: Any, layer: int) -> int:
        """Count the sources after a layer."""

    @abstractmethod
    def count_passes(self, spec: Any) -> float:
        """Count how often values of a source are read or written, forward and backward."""

    @abstractmethod
    def count_kept(self, spec: Any) -> tuple[int, int]:
        """Count copies of a source that the backward pass needs, and its further values for each sample."""


def _allow_any(n: int, width: int) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Family:
    """A kind of connection.

    Attributes
    ----------
    name: in figures and tables. summary: what joins the layers, in a few words. year: of the paper.
    place: the position in lists; families of the same place are sorted by kind.
    look: in figures.
    streams: one stream; n copies of the embedding; n parts of the width; or two, the state and, as a source that layers
        read again, the embedding.
    skips: whether the state passes each layer by.
    reads: how layers read the embedding and the outputs of all earlier layers, by weights over depth; there is no
        mixing then, and no metric of it. None where layers read the streams of the state, which H_pre, H_res and H_post
        mix.
    rows, columns: whether the sums of H_res are 1. exact: by construction. rounds: after a Sinkhorn round without eps.
        limit: in the limit of many rounds. free: they can be any number.
    norm_bounded: whether the spectral norm of H_res is at most 1 by construction.
    signed: whether entries of H_res can be negative.
    orthogonal: whether all singular values of H_res are 1 by construction, whatever the logits.
    iterates: whether Sinkhorn rounds and eps are settings of this family.
    by_token: whether mixing can depend on tokens. always_by_token: whether it always does: there is no static form.
    by_feature: whether the branch reads each feature of a stream with a weight of its own, which gates of low rank
        make. H_pre is then the mean of these weights over features.
    has_rank: whether the family has maps of low rank, so that the field `gate_rank` applies.
    has_head: whether the stack ends in a learned head of this family, unless the spec names another read-out.
    by_depth: whether H_res of a layer depends on how many layers the stack has: a deeper stack does not keep its first
        layers. Where there is a page map, H_pre and H_post must not.
    drawn: the parameters that get the drift. entries: H_res = I + s G. weights: the learned entries of H_res, the
        coefficients of sources, or the numbers that give the weights of branch and skip path.
        logits: the raw logits of the map.
        queries: the queries with which outputs are weighed, q = s G.
    logits: parameters of one layer's H_res, by n.
    operations: additions and multiplications that the map needs per token and layer, by n and rounds.
    map_calls: calls of operators of the map in one layer, besides the rounds, where mixing depends on tokens.
    rule: the allowed values of n.
    map: the class that maps logits to H_res. Families with a map share the sigmoids of H_pre and H_post, the projection
        of tokens and the initialisations (mHC, arXiv 2512.24880, Eq. 7).
    map_reference: the formula of the map in numpy, for Verify: logits (..., m), settings and a rounding function, which
        is applied after every operation, to (..., n, n).
    build: where there is no map: the function of a spec that returns the connection, as "module:function".
    mixing_reference: where there is no map: the formula of all coefficients in numpy, for Verify. It takes one layer's
        parameters by name and the streams (N, n, C), None for static mixing; it returns H_pre, H_post and H_res. Of
        a family with `by_feature` the first is the weights of features, (N, n, C).
    pass_reference: for a family that changes features of the streams before H_res multiplies them: this change in
        numpy, from one layer's parameters by name and the streams (n, N, C).
    costs: counts for a family whose parameters are neither those of a map nor matrices of mixing.
    solved: the family with the limit of many rounds in place of their result, where `projection` is newton; None where
        it cannot be chosen.
    page_map: the same formula on the page; without one the page waits for the server while a slider moves.
    paper: what defines the family, such as "arXiv 2512.24880". parent: the kind of the family that it changes.
    keeps, gives_up: what the family keeps of its parent or of a residual network, and what it gives up, in a few words.
    uses: released models with this connection.

    A map or `build` may be the string "module:name": it is imported when a stack is built.
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
        """Require either a map or a build function, and the numpy formula that Verify compares with."""
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
        """Return the number of streams, None where the spec chooses it."""
        return {"one": 1, "source": 2}.get(self.streams)

    @property
    def has_mixing(self) -> bool:
        """Return whether the layers of this connection are joined by H_pre, H_res and H_post, constant or not."""
        return self.reads is None

    @property
    def has_coefficients(self) -> bool:
        """Return whether the layers of this connection are joined by coefficients that can change."""
        return self.has_streams or self.mixing_reference is not None

    @property
    def attends(self) -> bool:
        """Return whether layers weigh earlier outputs by attention over depth, with the settings `depth_`."""
        return self.drawn == "queries"

    @property
    def is_mapped(self) -> bool:
        """Return whether H_res is a map of logits, so that initialisations and mixing precision apply."""
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
        """Return the heading of the family in lists: what its mixing is constrained to, in the limit of many rounds."""
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

    @cached_property  # a spec with edits reads it some hundred times while its run is predicted
    def without_constraints(self) -> "Family":
        """Return the family without the constraints on its matrices: those of a stack whose mixing is edited."""
        return replace(self, rows="free", columns="free", norm_bounded=False, signed=True, orthogonal=False)


def compute_sigmoid(t: Array) -> Array:
    """Compute 1 / (1 + exp(-t)) in numpy, independently of torch, for Verify."""
    found: Array = 0.5 * (1 + np.tanh(0.5 * t))
    # 1 + tanh loses the digits of what is close to 0.
    small = np.exp(np.minimum(t, 0))
    return np.where(t < 0, small / (1 + small), found)


def divide_by_rms(x: Array) -> Array:
    """Divide by the root mean square of the last axis in numpy, independently of torch, for Verify."""
    found: Array = x / np.sqrt((x * x).mean(-1, keepdims=True) + TINY)
    return found


TINY = 1e-20  # under the root of every norm, as the mHC paper has it

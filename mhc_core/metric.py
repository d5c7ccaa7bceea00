"""What the program must know of a metric: its words, how it is measured, the same formula for Verify, and its chart.

The catalogue, columns, panels' units and help texts come from here. `mhc_core/metrics` has one file a group of metrics;
another package adds one through the entry point group `mhc_scope.metrics`. This module and those files import torch
only inside functions: a client without torch reads the catalogue and records too.

Shapes: K layers measured together, L layers, n streams, N samples (tokens of all sequences), C width (of a stream).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from typing_extensions import TypeAliasType

from mhc_core.spec import RunSpec

if TYPE_CHECKING:
    import torch

Array = np.ndarray
# Why a value is missing, or has left the range of its type; `constant` is of a layer that is the same for all samples,
# `unknown` of a trace, where what the value is made of was not recorded.
Status = TypeAliasType("Status", Literal["overflow", "underflow", "constant", "nan", "unknown"])

OURS = "as defined here"
READS_WHOLE = "this connection has no weights of single features"
NO_VALUES = "no layer of these has learned weights of values"
UPWARD = ("forward", "similarity")  # frames of the way up
MAX_FEATURES = 256  # of all streams of a layer together, whose single values a record keeps
CACHED_ENTRIES = 2**17  # of a tensor of 1 MiB in float64
LARGEST_POWER = 2.0**1023  # of two, in float64


def pick_features(width: int, streams: int) -> Array:
    """Return which features of each stream a record keeps single values of: all, or as many as fit, evenly spaced.

    Places from 0, ascending. They are no means over neighbours: these would be alike where single features differ.
    """
    kept = min(width, max(1, MAX_FEATURES // streams))
    return np.arange(kept) * width // kept


@dataclass(frozen=True)
class Metric:
    """Meaning of one column.

    Attributes
    ----------
    key: column name in frames and results.
    title: a short name for people.
    unit: unit of the value; "" for a pure number.
    scale: `log` where the values span decades (a log10 column is then added), else `linear`.
    shape: axes of the column: L layers, n streams, C features of a stream, as far as `pick_features` keeps them,
        J = L + 1 sources: the embedding, then every layer; S steps of training, K steps at which matrices are kept, or
        singular values; "" for a single number.
    frame: the frame that carries it.
    meaning: one sentence.
    formula: in the symbols of the papers.
    source: where the definition comes from.
    table: the table of a result that holds the column.
    prefix: whether a column of a shallower stack is the beginning of this one's: layer l says the same at any depth
        above it, as long as neither a setting (`mhc_core.spec.block.DEPTH_SCALED`) nor the family (`by_depth`) makes
        layers depend on the depth. By default of
        what forward and similarity frames carry, for the way up knows nothing of the layers to come.
    precision: (relative, absolute), a promise: |x32 - x64| <= relative |x64| + absolute, between a float32 and a
        float64 run of the default comparison and of its dynamic forms. A test holds every metric to it.
    """

    key: str
    title: str
    unit: str
    scale: Literal["linear", "log"]
    shape: Literal["L", "Ln", "Lnn", "LnC", "LL", "LJ", "S", "SL", "KL", "KLn", "KLnn", "KLL", "KLJ", "K", ""]
    frame: Literal["forward", "similarity", "backward", "mixing", "step", "jacobian"]
    meaning: str
    formula: str
    source: str
    table: Literal["layers", "matrices", "steps", "kept", "jacobian"] = "layers"
    precision: tuple[float, float] | None = None
    prefix: bool | None = None

    def __post_init__(self) -> None:
        """Set `prefix`, if not given: metrics of the way up do not depend on later layers."""
        if self.prefix is None:
            object.__setattr__(self, "prefix", self.frame in UPWARD)


class NoMixing(ValueError):
    """A metric has read coefficients of a stack whose layers are joined without them."""

    def __init__(self, name: str, why: str = "this connection has no mixing, its layers read earlier outputs") -> None:
        super().__init__(f"{name} is not there: {why}")


class Moments(NamedTuple):
    """The largest square, the mean square and the mean fourth power of each token's entries in each stream."""

    largest_KnN: "torch.Tensor"
    second_KnN: "torch.Tensor"
    fourth_KnN: "torch.Tensor"


@dataclass(frozen=True)
class LayerBlock:
    """Values of K layers on the way up, as tensors without gradients, in float32 at least.

    Attributes
    ----------
    x_KnNC: the streams that leave each layer.
    m_KNC: the same merged: their mean, or all parts side by side where streams are parts of the width.
    u_KNC, y_KNC: input and output of the branch, the output before H_post.
    mixings: H_pre (n), H_post (n) and H_res (n, n) of each layer, with an axis N in front where mixing is dynamic;
        H_pre is (n, n) where streams are parts of the width. Where layers read earlier outputs instead, `h_pre`,
        `h_post` and `h_res` raise `NoMixing`, and a metric that reads them is left out.
    value_weights: the learned weights of a value residual (2) of each layer; None for a layer without.
    entered: the streams (n, N, C) that the mixing of each layer was applied to, in the type of the stack.
    """

    x_KnNC: "torch.Tensor"
    m_KNC: "torch.Tensor"
    u_KNC: "torch.Tensor"
    y_KNC: "torch.Tensor"
    mixings: Sequence[Any]
    value_weights: "Sequence[torch.Tensor | None]" = ()
    entered: "Sequence[torch.Tensor]" = ()

    @cached_property
    def h_pre(self) -> "torch.Tensor":
        """Return H_pre of all layers of the block, float64."""
        return self._stack_mixings("h_pre")

    @cached_property
    def h_post(self) -> "torch.Tensor":
        """Return H_post of all layers of the block, float64."""
        return self._stack_mixings("h_post")

    @cached_property
    def h_res(self) -> "torch.Tensor":
        """Return H_res of all layers of the block, float64."""
        return self._stack_mixings("h_res")

    @cached_property
    def largest_KnN(self) -> "torch.Tensor":
        """Return the largest |entry| of each token in each stream, in the type of the streams."""
        return find_largest(self.x_KnNC)

    @cached_property
    def scaled_moments(self) -> "Moments":
        """Return moments of each stream, and of each token in it, in float64.

        A stream is scaled by a power of two, its largest |entry| to [1/2, 1): no power overflows, and nothing is
        rounded. Powers are computed in place: new memory for each takes several times as long.
        """
        import torch

        largest_KnN = self.largest_KnN.double()
        largest_Kn1 = largest_KnN.amax(2, keepdim=True)
        # Below the normal numbers of float64 the scale would be infinite.
        scale_Kn1 = (torch.frexp(largest_Kn1).mantissa / largest_Kn1).clamp_max(LARGEST_POWER)
        parts = split_for_cache(self.x_KnNC)
        means = map(_measure_powers, parts, scale_Kn1.unsqueeze(3).split(len(parts[0])))
        second_KnN, fourth_KnN = map(torch.cat, zip(*means, strict=True))
        return Moments((largest_KnN * scale_Kn1).square(), second_KnN, fourth_KnN)

    def list_features(self) -> "list[torch.Tensor]":
        """Return for each layer of the block the weights of single features in what it reads, (N, n, C).

        Raises
        ------
        NoMixing
            If layers read whole streams, or no streams.
        """
        found = [mixing.features for mixing in self.mixings if hasattr(mixing, "features")]
        if not found:
            raise NoMixing("features", READS_WHOLE)
        return found

    @cached_property
    def gates(self) -> "list[torch.Tensor]":
        """Return for each layer of the block the gates of the features that `pick_features` keeps, (N, n, C), float64.

        A gate is n rms(x[i]) w[i] of streams x and weights w of features, or what a model from elsewhere has as such.

        Raises
        ------
        NoMixing
            If layers read whole streams, or no streams.
        """
        import torch

        found = [mixing.gates.double() for mixing in self.mixings if hasattr(mixing, "gates")]
        if found:
            return found
        for weights, x_nNC in zip(self.list_features(), self.entered, strict=True):
            n, _, width = x_nNC.shape
            count = len(pick_features(width, n))
            kept = torch.arange(count, device=x_nNC.device) * width // count  # copied from the host, it would wait
            norm_Nn = torch.linalg.vector_norm(x_nNC, dim=2, dtype=torch.float64).T
            found.append(weights[..., kept].double() * (norm_Nn * n / width**0.5).unsqueeze(2))
        return found

    def list_value_weights(self) -> "Sequence[torch.Tensor | None]":
        """Return the learned weights of a value residual (2) of each layer of the block; None for a layer without.

        Raises
        ------
        NoMixing
            If no layer of the block has them.
        """
        if all(pair is None for pair in self.value_weights):
            raise NoMixing("value_weights", NO_VALUES)
        return self.value_weights

    def _stack_mixings(self, name: str) -> "torch.Tensor":
        """Stack a coefficient of all layers of the block in float64; raise NoMixing if layers have none."""
        import torch

        if not hasattr(self.mixings[0], name):
            raise NoMixing(name)
        return torch.stack([getattr(mixing, name) for mixing in self.mixings]).double()


def split_for_cache(x: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
    """Return parts of a tensor along its first axis, so small that a CPU's cache holds the float64 copy of each.

    Of a whole block of layers such a copy would be new memory, which costs more than the arithmetic. A card gets all in
    one part.
    """
    return x.split(max(1, CACHED_ENTRIES // max(1, x[0].numel()))) if x.is_cpu else (x,)


def find_largest(x: "torch.Tensor") -> "torch.Tensor":
    """Return the largest magnitude along the last axis; the magnitudes themselves would be as much memory again."""
    import torch

    return torch.maximum(x.amax(-1), -x.amin(-1))


def _measure_powers(x_KnNC: "torch.Tensor", scale_Kn11: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
    """Return mean square and mean fourth power of each token's entries times the scale, (K, n, N) each, float64."""
    import torch

    powers = x_KnNC.to(torch.float64, copy=True).mul_(scale_Kn11).square_()
    second_KnN = powers.mean(3)
    return second_KnN, powers.square_().mean(3)


@dataclass(frozen=True)
class GradientBlock:
    """The gradients of the loss at the states of K layers, on the way down, in float32 at least.

    Attributes
    ----------
    g_KnNC: at the streams that leave each layer; the last block ends with the embedding's output.
    g_KNC: the same along a shift common to all streams, of all parts side by side where streams are parts.
    """

    g_KnNC: "torch.Tensor"
    g_KNC: "torch.Tensor"


@dataclass(frozen=True)
class ReferenceMixing:
    """Coefficients of one layer, with an axis N where they are dynamic; the gradient at h_res, summed over samples.

    features: (N, n, C), the weights of single features, of which h_pre is the mean; None where streams are read whole.
    """

    h_pre: Array
    h_post: Array
    h_res: Array
    grad_h_res: Array | None
    features: Array | None = None


@dataclass(frozen=True)
class ReferenceLayer:
    """Values of one layer, recomputed in float64, for the second formula of each metric.

    Attributes
    ----------
    x_nNC, g_nNC: streams that leave it, and the loss's gradient there. u_NC, y_NC: branch input and output.
    entered_nNC: streams that the mixing was applied to: those that left the layer before, or what an edit made of them.
    grad_u: gradient at u.
    mixing: `h_pre`, `h_post` and `h_res`, which the layer has by these names too; None where layers read earlier
        outputs, so that these raise `NoMixing`.
    weights_J: the weights of the embedding and of earlier outputs in what the layer reads; None where there is mixing.
    logits: of h_res (m), or (N, m); None if there are none.
    weights, grad_weights: of the branch. grad_mixing: of the mixing's parameters by name.
    value_weights: the learned weights of a value residual (2); None if the layer has none.
    """

    x_nNC: Array
    g_nNC: Array
    entered_nNC: Array
    u_NC: Array
    y_NC: Array
    grad_u: Array
    mixing: ReferenceMixing | None
    weights_J: Array | None
    logits: Array | None
    weights: list[Array]
    grad_weights: list[Array]
    grad_mixing: dict[str, Array]
    value_weights: Array | None = None

    @property
    def h_pre(self) -> Array:
        """Return H_pre of the layer in numpy, for a metric's second formula."""
        return self._get_mixing("h_pre").h_pre

    @property
    def h_post(self) -> Array:
        """Return H_post of the layer in numpy, for a metric's second formula."""
        return self._get_mixing("h_post").h_post

    @property
    def h_res(self) -> Array:
        """Return H_res of the layer in numpy, for a metric's second formula."""
        return self._get_mixing("h_res").h_res

    @property
    def features(self) -> Array:
        """Return the weights of single features in what the layer reads, (N, n, C)."""
        if self.mixing is None or self.mixing.features is None:
            raise NoMixing("features", READS_WHOLE)
        return self.mixing.features

    def _get_mixing(self, name: str) -> ReferenceMixing:
        """Return the mixing of the layer; raise NoMixing if it has none."""
        if self.mixing is None:
            raise NoMixing(name)
        return self.mixing


@dataclass(frozen=True, kw_only=True)
class ChartView:
    """A further view of a metric: its key, the label of its button, what it shows, and `build` as of a chart."""

    key: str
    label: str
    meaning: str
    build: str | Callable[[int, Any], Any]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The chart of a metric: one line per run over the layers, or one thin line per stream.

    Title, unit, meaning, formula and source are those of the metric.

    Attributes
    ----------
    reading: how to read it, behind the card's "?". symbol: of the papers.
    group: the section of the page: mixing, similarity or expert.
    view_of: the key of the panel that gets the chart as one more view; "" makes it a panel of its own.
    label: the button of that view; by default the metric's title.
    absent: why a run has no value of the metric, in a sentence; by default that it was computed without it.
    is_offered_without: whether the page shows a panel of its own even if no shown run has the metric.
    include: values kept in sight. limits: the ends of the value axis, None for those of the data.
    build: in place of the lines, a function of the number of runs and the theme that returns the template, a
        Plotly figure as a dict of "data" and "layout" (`mhc_core/figures/panel.py`), or the string "module:function".
    more: views next to the first.
    """

    reading: str
    symbol: str
    group: Literal["mixing", "similarity", "expert"] = "expert"
    view_of: str = ""
    label: str = ""
    absent: str = ""
    is_offered_without: bool = True
    include: tuple[float, ...] = ()
    limits: tuple[float, float] | None = None
    build: str | Callable[[int, Any], Any] | None = None
    more: tuple[ChartView, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LayerMetric:
    """A metric of each layer for itself, and all that the program needs to measure, check and draw it.

    Attributes
    ----------
    metric: its words. The frame is forward or backward, and says what `measure` gets; the shape is L, Ln or LnC. Those
        of the shape LnC are in the table `matrices`, the others in `layers`.
    measure: a `LayerBlock`, or of backward frames a `GradientBlock`, to (K), (K, n) or, for the features of
        `pick_features`, (K, n, C); nan if it has no value. It runs on the device of the run, and must not wait for it,
        as `.item()` does.
    reference: the same formula once more in numpy, of one layer, in float64: a number, (n) or (n, C). Verify compares
        with it, so write it from the definition and not from `measure`.
    chart: how it is drawn.
    some_layers: whether layers of a run can lack the metric. `measure` returns nan for these, and the frame of such a
        layer has neither a value nor a status.
    """

    metric: Metric
    measure: "Callable[[Any], torch.Tensor]"
    reference: Callable[[RunSpec, ReferenceLayer], float | Array]
    chart: Chart
    some_layers: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError unless frame, shape and table of the metric are those of a metric of layers."""
        metric = self.metric
        table = "matrices" if metric.shape == "LnC" else "layers"
        for name, got, allowed in (
            ("frame", metric.frame, ("forward", "backward")),
            ("shape", metric.shape, ("L", "Ln", "LnC")),
            ("table", metric.table, (table,)),
        ):
            if got not in allowed:
                raise ValueError(f"Metric {metric.key!r}: {name} is {got!r}, wanted {' or '.join(map(repr, allowed))}.")

    def measure_block(self, block: LayerBlock | GradientBlock, layers: int, streams: int, width: int) -> "torch.Tensor":
        """Measure this metric in a block of layers, whose streams have `width` features; return a column.

        Raises
        ------
        ValueError
            If `measure` returns another shape than it states.
        """
        found = self.measure(block)
        features = len(pick_features(width, streams)) if self.metric.shape == "LnC" else 0
        wanted = tuple({"L": layers, "n": streams, "C": features}[axis] for axis in self.metric.shape)
        if tuple(found.shape) != wanted:
            raise ValueError(f"Metric {self.metric.key!r}: measure returned {tuple(found.shape)}, wanted {wanted}.")
        return found

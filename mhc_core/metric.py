"""The definition of a metric: its texts, its measurement, its second formula for Verify, and its chart.

The catalogue, columns, units and help texts of panels follow from it. `mhc_core/metrics` has one file per group of
metrics; another package adds one through the entry point group `mhc_scope.metrics`. This module and those files import
torch only inside functions, because clients without torch also read the catalogue and records.

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
# Why a value is missing, or has left the range of its type. `constant`: the layer is the same for all samples.
# `unknown`: in a trace, the data for the value were not recorded.
Status = TypeAliasType("Status", Literal["overflow", "underflow", "constant", "nan", "unknown"])

OURS = "as defined here"
READS_WHOLE = "this connection has no weights of single features"
NO_VALUES = "no layer of these has learned weights of values"
UPWARD = ("forward", "similarity")  # frames of the forward pass
MAX_FEATURES = 256  # number of features, in all streams of a layer, for which a record keeps single values
CACHED_ENTRIES = 2**17  # number of float64 entries in 1 MiB
LARGEST_POWER = 2.0**1023  # largest power of two in float64


def pick_features(width: int, streams: int) -> Array:
    """Return the indices of the features of each stream for which a record keeps single values: all, or as many as
    `MAX_FEATURES` allows, evenly spaced and ascending.

    Single features are kept, not means over neighbours, which would hide differences between single features.
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
        """Set `prefix` if it is not given: metrics of the forward pass do not depend on later layers."""
        if self.prefix is None:
            object.__setattr__(self, "prefix", self.frame in UPWARD)


class NoMixing(ValueError):
    """A metric needs coefficients, or other data, that the stack does not have. The metric is then left out."""

    def __init__(self, name: str, why: str = "this connection has no mixing, its layers read earlier outputs") -> None:
        super().__init__(f"{name} is not there: {why}")


class Moments(NamedTuple):
    """The largest square, the mean square and the mean fourth power of each token's entries in each stream, scaled; and
    the norm of the entries as they are.
    """

    largest_KnN: "torch.Tensor"
    second_KnN: "torch.Tensor"
    fourth_KnN: "torch.Tensor"
    norm_KnN: "torch.Tensor"


@dataclass(frozen=True)
class LayerBlock:
    """The values of K layers in the forward pass, as tensors without gradients, at least in float32.

    Attributes
    ----------
    x_KnNC: the streams after each layer.
    m_KNC: the merged streams: their mean, or all parts together if streams are parts of the width.
    u_KNC, y_KNC: input and output of the branch, before H_post.
    mixings: H_pre (n), H_post (n) and H_res (n, n) of each layer, with a leading axis N if mixing is dynamic; H_pre is
        (n, n) if streams are parts of the width. If layers read earlier outputs instead, `h_pre`, `h_post` and `h_res`
        raise `NoMixing`, and metrics that need them are left out.
    value_weights: the learned weights of a value residual (2) of each layer; None for layers without.
    entered: the streams (n, N, C) to which the mixing of each layer was applied, in the type of the stack.
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
        """Return the moments of each token in each stream, in float64.

        Each stream is scaled by a power of two, so that its largest |entry| is in [1/2, 1): powers do not overflow, and
        scaling does not round. Powers are computed in place, because new memory for each would take several times as
        long.
        """
        import torch

        largest_KnN = self.largest_KnN.double()
        largest_Kn1 = largest_KnN.amax(2, keepdim=True)
        # For subnormal numbers the scale would be infinite.
        scale_Kn1 = (torch.frexp(largest_Kn1).mantissa / largest_Kn1).clamp_max(LARGEST_POWER)
        parts = split_for_cache(self.x_KnNC)
        means = map(_measure_powers, parts, scale_Kn1.unsqueeze(3).split(len(parts[0])))
        return Moments((largest_KnN * scale_Kn1).square(), *map(torch.cat, zip(*means, strict=True)))

    def list_features(self) -> "list[torch.Tensor]":
        """Return for each layer of the block the weights of single features in its branch input, (N, n, C).

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

        A gate is n rms(x[i]) w[i], for streams x and weights w of features. In someone else's model, it is the model's
        own gate.

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
            kept = torch.arange(count, device=x_nNC.device) * width // count  # on the device, to avoid a transfer
            norm_Nn = torch.linalg.vector_norm(x_nNC, dim=2, dtype=torch.float64).T
            found.append(weights[..., kept].double() * (norm_Nn * n / width**0.5).unsqueeze(2))
        return found

    def list_value_weights(self) -> "Sequence[torch.Tensor | None]":
        """Return the learned weights of a value residual (2) of each layer of the block; None for layers without.

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
    """Split a tensor along its first axis into parts whose float64 copies fit a CPU's cache. On a GPU, it is one part.

    A float64 copy of a whole block of layers would need new memory, which takes longer than the arithmetic.
    """
    return x.split(max(1, CACHED_ENTRIES // max(1, x[0].numel()))) if x.is_cpu else (x,)


def find_largest(x: "torch.Tensor") -> "torch.Tensor":
    """Return the largest magnitude along the last axis, without an array of magnitudes, to save memory."""
    import torch

    return torch.maximum(x.amax(-1), -x.amin(-1))


def _measure_powers(x_KnNC: "torch.Tensor", scale_Kn11: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
    """Return mean square and mean fourth power of each token's entries times the scale, and the norm of its entries,
    (K, n, N) each, float64.
    """
    import torch

    powers = x_KnNC.to(torch.float64, copy=True)
    norm_KnN = torch.linalg.vector_norm(powers, dim=3)
    second_KnN = powers.mul_(scale_Kn11).square_().mean(3)
    return second_KnN, powers.square_().mean(3), norm_KnN


@dataclass(frozen=True)
class GradientBlock:
    """The gradients of the loss with respect to the states of K layers, at least in float32.

    Attributes
    ----------
    g_KnNC: with respect to the streams after each layer; the last block ends with the embedding.
    g_KNC: with respect to a change common to all streams; if streams are parts of the width, all parts together.
    """

    g_KnNC: "torch.Tensor"
    g_KNC: "torch.Tensor"


@dataclass(frozen=True)
class ReferenceMixing:
    """The coefficients of one layer in numpy, with a leading axis N if they are dynamic.

    Attributes
    ----------
    h_pre: (n), or (n, n) if streams are parts of the width. h_post: (n). h_res: (n, n), rows index the output.
    grad_h_res: the gradient with respect to h_res, summed over samples; None if it is not known.
    features: (N, n, C), the weights of single features, whose mean is h_pre; None if whole streams are read.
    h_next: (n), weights that the layer computes for the next layer; None if each layer computes its own.
    """

    h_pre: Array
    h_post: Array
    h_res: Array
    grad_h_res: Array | None = None
    features: Array | None = None
    h_next: Array | None = None


@dataclass(frozen=True)
class ReferenceLayer:
    """Values of one layer, recomputed in float64, for the second formula of each metric.

    Attributes
    ----------
    x_nNC, g_nNC: the streams after the layer, and the gradient of the loss with respect to them.
    u_NC, y_NC: branch input and output.
    entered_nNC: the streams to which the mixing was applied: those after the layer before, changed by edits, if any.
    grad_u: gradient with respect to u.
    mixing: the coefficients, which are also the properties `h_pre`, `h_post` and `h_res`; None if layers read earlier
        outputs, in which case these properties raise `NoMixing`.
    weights_J: the weights of the embedding and earlier outputs in the branch input; None if there is mixing.
    logits: logits of h_res, (m) or (N, m); None if there are none.
    weights, grad_weights: weights of the branch, and their gradients. grad_mixing: gradients of the mixing's parameters
        by name.
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
        """Return H_pre of the layer in numpy, for the second formula by which Verify recomputes a metric."""
        return self._get_mixing("h_pre").h_pre

    @property
    def h_post(self) -> Array:
        """Return H_post of the layer in numpy, for the second formula by which Verify recomputes a metric."""
        return self._get_mixing("h_post").h_post

    @property
    def h_res(self) -> Array:
        """Return H_res of the layer in numpy, for the second formula by which Verify recomputes a metric."""
        return self._get_mixing("h_res").h_res

    @property
    def features(self) -> Array:
        """Return the weights of single features in the branch input, (N, n, C); raise NoMixing if there are none."""
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
    """An additional view of a metric's chart: its key, its button's label, its meaning, and `build` as in `Chart`."""

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
    reading: how to read it, behind the card's "?". symbol: that of the papers.
    group: the section of the page: mixing, similarity or expert.
    view_of: the key of the panel to which the chart is added as a view; "" (default) makes it a separate panel.
    label: the button of the view; by default the metric's title.
    absent: a sentence on why a run has no value of the metric; by default that it was computed without it.
    is_offered_without: whether the page shows the separate panel even if no shown run has the metric.
    include: values that are always visible. limits: the ends of the value axis; None for those of the data.
    build: a function of the number of runs and the theme that returns the template, a Plotly figure as a dict of "data"
        and "layout" (`mhc_core/figures/panel.py`), or the string "module:function"; by default, lines are drawn.
    more: additional views.
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
    """A metric that describes each layer separately, with its measurement, its second formula and its chart.

    Attributes
    ----------
    metric: its definition. The frame is forward or backward, and determines the argument of `measure`. The shape is L,
        Ln or LnC; metrics of the shape LnC are in the table `matrices`, others in `layers`.
    measure: a function from a `LayerBlock` (forward) or a `GradientBlock` (backward) to (K), (K, n) or, for the
        features of `pick_features`, (K, n, C); nan if there is no value. It runs on the device of the run, and must not
        wait for it, as `.item()` does.
    reference: the same formula in numpy, for one layer, in float64: a number, (n) or (n, C). Verify compares both, so
        write it from the definition, not from `measure`.
    chart: how it is drawn.
    some_layers: whether some layers of a run may not have the metric; default False. `measure` returns nan for these
        layers, and their frames have neither a value nor a status.
    """

    metric: Metric
    measure: "Callable[[Any], torch.Tensor]"
    reference: Callable[[RunSpec, ReferenceLayer], float | Array]
    chart: Chart
    some_layers: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError unless frame, shape and table of the metric are allowed for a metric of layers."""
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
        """Measure this metric for a block of layers whose streams have `width` features; return the column.

        Raises
        ------
        ValueError
            If the result of `measure` does not have the shape of the metric.
        """
        found = self.measure(block)
        features = len(pick_features(width, streams)) if self.metric.shape == "LnC" else 0
        wanted = tuple({"L": layers, "n": streams, "C": features}[axis] for axis in self.metric.shape)
        if tuple(found.shape) != wanted:
            raise ValueError(f"Metric {self.metric.key!r}: measure returned {tuple(found.shape)}, wanted {wanted}.")
        return found

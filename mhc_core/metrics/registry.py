"""Every metric, declared once: the catalogue, the columns, the panels' units and the help texts come from here."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from typing_extensions import TypeAliasType

# Why a value is missing, or has left the range of its type; `constant` is of a layer that is the same for all samples,
# `unknown` of a trace, where what the value is made of was not heard.
Status = TypeAliasType("Status", Literal["overflow", "underflow", "constant", "nan", "unknown"])

UPWARD = ("forward", "similarity")  # frames of the way up


@dataclass(frozen=True)
class Metric:
    """What one column means.

    Attributes
    ----------
    key: column name in frames and results.
    title: a short name for people.
    unit: unit of the value; "" for a pure number.
    scale: `log` where the values span decades (a log10 column then stands beside), else `linear`.
    shape: axes of the column: L layers, n streams, J = L + 1 sources: the embedding, then every layer; S steps of
        training, K steps at which matrices are kept, or singular values; "" for a single number.
    frame: the frame that carries it.
    meaning: one sentence.
    formula: in the symbols of the papers.
    source: where the definition comes from.
    table: the table of a result that holds the column.
    prefix: whether a column of a shallower stack is the beginning of this one's: layer l says the same at any depth
        above it, as long as no setting scales layers by the depth (`mhc_core.spec.block.DEPTH_SCALED`). By default of
        what forward and similarity frames carry, for the way up knows nothing of the layers to come.
    precision: (relative, absolute), a promise: |x32 - x64| <= relative |x64| + absolute, between a float32 and a
        float64 run of the default comparison and of its dynamic forms. A test holds every metric to it.
    """

    key: str
    title: str
    unit: str
    scale: Literal["linear", "log"]
    shape: Literal["L", "Ln", "Lnn", "LL", "LJ", "S", "SL", "KL", "KLn", "KLnn", "KLL", "KLJ", "K", ""]
    frame: Literal["forward", "similarity", "backward", "mixing", "step", "jacobian"]
    meaning: str
    formula: str
    source: str
    table: Literal["layers", "matrices", "steps", "kept", "jacobian"] = "layers"
    precision: tuple[float, float] | None = None
    prefix: bool | None = None

    def __post_init__(self) -> None:
        if self.prefix is None:
            object.__setattr__(self, "prefix", self.frame in UPWARD)


METRICS: dict[str, Metric] = {}


def declare(*metrics: Metric) -> None:
    """Add metrics to the catalogue; a key can be declared once."""
    for metric in metrics:
        assert metric.key not in METRICS, f"metric {metric.key} is declared twice"
        METRICS[metric.key] = metric


def to_catalogue() -> list[dict[str, Any]]:
    """The catalogue as plain data, in order of declaration."""
    return [asdict(metric) for metric in METRICS.values()]

"""Define a preset: a few specs that share seed and input, the metric and figure to look at, and what others report."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mhc_core.metrics import METRICS
from mhc_core.record.reduction import ReducedNumber, Reduction, reduce_metric, to_title
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec, parse_spec

Number = Literal["metric", "perplexity"]
Group = Literal["start", "edits", "families", "mhc", "hc", "stacks", "signals", "starts"]

GROUPS: dict[Group, str] = {
    "start": "Start here",
    "edits": "Cut and replace",
    "families": "What families are for",
    "mhc": "The mHC paper at this scale",
    "hc": "The Hyper-Connections paper at this scale",
    "stacks": "Stacks",
    "signals": "Signals",
    "starts": "How mixing is initialised",
}


RISE_TITLE = "Rise of perplexity by the edit, %"


@dataclass(frozen=True)
class Reference:
    """What a paper or a theory says, shown next to what is measured here.

    Attributes
    ----------
    source: where this is stated.
    says: its number or its claim, in one sentence.
    scale: how its setting differs from this one.
    numbers: what it prints for runs of the preset, by their labels, shown next to ours.
    """

    source: str
    says: str
    scale: str
    numbers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """A named comparison of a few specs.

    Attributes
    ----------
    name, title, description: name in addresses, title for people, and a text of a few sentences.
    group: key of its group in the gallery.
    labels, specs: the runs.
    metric, reduction: the column that its sketch draws, and how the column is reduced to the headline number.
    number: the headline number: that of the column, or by how many % the edits of a run raise its perplexity.
    panel, view: the panel that shows it, and one of its views; None for the first.
    reference: what others report about it, or None.
    plays: the field that is animated when the preset is opened; None for no animation.
    """

    name: str
    title: str
    description: str
    group: Group
    labels: tuple[str, ...]
    specs: tuple[RunSpec, ...]
    metric: str = "composite_gain_fwd"
    reduction: Reduction = "max"
    number: Number = "metric"
    panel: str = "gain"
    view: str | None = None
    reference: Reference | None = None
    plays: str | None = None

    @property
    def number_title(self) -> str:
        """Return the title of the preset's headline number, such as `Gradient, first layer`."""
        return RISE_TITLE if self.number == "perplexity" else to_title(METRICS[self.metric], self.reduction)

    def read_number(self, result: Result) -> ReducedNumber:
        """Return the headline number of a run."""
        if self.number == "metric":
            return reduce_metric(result, self.metric, self.reduction)
        rise = 100 * math.expm1(result.loss - result.loss_base)  # losses are in nats; perplexity is exp(loss)
        return ReducedNumber(rise, None, "finite") if math.isfinite(rise) else ReducedNumber(None, None, "unknown")

    def to_plain(self) -> dict[str, Any]:
        """Convert the preset to plain JSON data."""
        pairs = zip(self.labels, self.specs, strict=True)
        specs = [{"label": label, "id": spec.id, "spec": spec.model_dump(mode="json")} for label, spec in pairs]
        metric = METRICS[self.metric]
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "group": {"key": self.group, "title": GROUPS[self.group]},
            "specs": specs,
            "metric": {"key": metric.key, "title": metric.title, "scale": metric.scale},
            "reduce": self.reduction,
            "number": self.number,
            "told": self.number_title,
            "panel": self.panel,
            "view": self.view,
            "reference": None if self.reference is None else asdict(self.reference),
            "plays": self.plays,
        }


def compare(
    group: Group, name: str, title: str, description: str, runs: Mapping[str, dict[str, Any]], **more: Any
) -> Preset:
    """Build a preset. runs: label -> fields of its spec. more: further fields of `Preset`."""
    return Preset(name, title, description, group, tuple(runs), tuple(map(parse_spec, runs.values())), **more)


RESIDUAL: dict[str, Any] = {"connection": {"kind": "residual"}}
HC: dict[str, Any] = {"connection": {"kind": "hc"}}
MHC: dict[str, Any] = {"connection": {"kind": "mhc"}}
# mHC of the first screen, whose start mixes visibly (`opening.py`).
MIXING_MHC: dict[str, Any] = {"connection": {"kind": "mhc", "init": "lucidrains"}}
THREE: dict[str, dict[str, Any]] = {"Residual": RESIDUAL, "HC": HC, "mHC": MHC}


def build_three(**fields: Any) -> dict[str, dict[str, Any]]:
    """Build specs of the residual connection, HC and mHC with the same other fields."""
    return {label: spec | fields for label, spec in THREE.items()}

"""The catalogue of all metrics. Each file of this folder declares and computes one group; other packages can add more.

Another package adds a metric with an entry point of the group `mhc_scope.metrics`, whose object is a `LayerMetric`.
`mhc-scope serve --metric module:METRIC` adds one without an entry point (`mhc_core/discovery.py`). Added metrics are
measured in all new runs. Ids and other columns do not depend on them, and stored runs are not computed again.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from mhc_core.discovery import InvalidAddition, import_files, list_added
from mhc_core.metric import LayerMetric, Metric

GROUP = "mhc_scope.metrics"
VARIABLE = "MHC_METRIC"
# The first files of the catalogue, in this order; the other files follow by name.
FIRST = (
    *("states", "gradients", "jacobian", "mixing", "token_products", "logits", "mixing_gradients", "paths", "shares"),
    *("similarity", "effects", "training"),
)

METRICS: dict[str, Metric] = {}
LAYER_METRICS: dict[str, LayerMetric] = {}  # those of METRICS that define how they are measured, checked and drawn
# Keys of metrics that only some layers of a run have, including those of training steps.
SOME_LAYERS: set[str] = set()


def to_catalogue() -> list[dict[str, Any]]:
    """Return the catalogue of all metrics as plain data, in order of declaration."""
    return [asdict(metric) for metric in METRICS.values()]


def _collect_metrics() -> None:
    """Add the metrics of this folder's files and of other packages to the catalogue."""
    for item in (*_list_own(), *(metric for _, metric in list_added(LayerMetric, GROUP, VARIABLE))):
        metric = item.metric if isinstance(item, LayerMetric) else item
        if metric.key in METRICS:
            raise InvalidAddition(f"Two metrics are called {metric.key!r}: rename the one of your package.")
        METRICS[metric.key] = metric
        if isinstance(item, LayerMetric):
            LAYER_METRICS[metric.key] = item
            SOME_LAYERS.update({metric.key, f"step_{metric.key}"} if item.some_layers else ())


def _list_own() -> Iterator[Metric | LayerMetric]:
    """Yield the metrics that the files of this folder declare; some files declare none."""
    for module in import_files(__name__, FIRST):
        yield from getattr(module, "METRICS", ())


_collect_metrics()

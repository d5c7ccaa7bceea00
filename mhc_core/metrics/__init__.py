"""What is measured: one family a file, each metric declared once beside the code that computes it."""

from mhc_core.metrics import (  # noqa: F401  (declares the metrics)
    gradients,
    jacobian,
    logits,
    mixing,
    mixing_gradients,
    paths,
    shares,
    similarity,
    states,
    token_products,
    training,
)
from mhc_core.metrics.registry import METRICS, Metric, to_catalogue

__all__ = ["METRICS", "Metric", "to_catalogue"]

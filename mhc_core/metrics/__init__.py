"""What is measured: one family a file, each metric declared once beside the code that computes it."""

from mhc_core.metrics import gradients, jacobian, mixing, similarity, states  # noqa: F401  (declares the metrics)
from mhc_core.metrics.registry import METRICS, Metric, to_catalogue

__all__ = ["METRICS", "Metric", "to_catalogue"]

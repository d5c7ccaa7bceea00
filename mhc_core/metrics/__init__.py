"""What is measured. `catalogue/` declares each metric once; the file of the same name here computes it."""

from mhc_core.metrics import catalogue  # noqa: F401  (declares the metrics)
from mhc_core.metrics.registry import METRICS, Metric, to_catalogue

__all__ = ["METRICS", "Metric", "to_catalogue"]

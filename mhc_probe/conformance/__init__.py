"""Check an implementation against the laws of its family, and against our own connection."""

from mhc_probe.conformance.checking import check, open_bench
from mhc_probe.conformance.report import Line, Report

__all__ = ["Line", "Report", "check", "open_bench"]

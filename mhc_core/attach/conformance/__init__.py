"""The conformance check: someone's implementation against the laws of its family, and against ours."""

from mhc_core.attach.conformance.checking import check, open_bench
from mhc_core.attach.conformance.report import Line, Report

__all__ = ["Line", "Report", "check", "open_bench"]

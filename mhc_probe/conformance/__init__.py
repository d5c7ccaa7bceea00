"""Check an implementation of a connection against the laws of its family, and against our implementation."""

from mhc_probe.conformance.checking import check, open_bench
from mhc_probe.conformance.module_check import ModuleCheck
from mhc_probe.conformance.report import Report

__all__ = ["ModuleCheck", "Report", "check", "open_bench"]

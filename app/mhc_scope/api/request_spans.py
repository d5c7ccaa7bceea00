"""Configure the spans of requests, which FastAPI creates: which requests have one, and what it contains."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import get_current_span

from mhc_scope import log_context, spans

PROBES = ("/livez", "/readyz", "/metrics")


def configure(is_wanted: bool) -> TelemetryConfig:
    """Return FastAPI's settings for tracing. All are set: by default its own variables would send bodies and queries.

    Raises
    ------
    NoTelemetry
        If spans are requested, and the extra is not installed.
    """
    only: TelemetryConfig = {"metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
    if not is_wanted:
        return {**only, "tracing": False}
    return {**only, "tracing": True, "tracer_provider": spans.start(), "exclude": is_probe}


def is_probe(scope: MutableMapping[str, Any]) -> bool:
    """Return whether the request is a health probe, which machines send every few seconds."""
    return str(scope.get("path", "")).endswith(PROBES)


def note_ids() -> None:
    """Add the ids of the log line to the tracing span of the current request, if it has one."""
    for name, value in log_context.read().items():
        get_current_span().set_attribute(f"{spans.NAMESPACE}.{name}", value)

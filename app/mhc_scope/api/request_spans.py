"""Configure the OpenTelemetry spans that FastAPI creates for requests: for which requests, and with which content."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import get_current_span

from mhc_scope import log_context, spans

PROBES = ("/livez", "/readyz", "/metrics")


def configure(is_wanted: bool) -> TelemetryConfig:
    """Return FastAPI's settings for tracing. All are set, because its own variables could make it send bodies.

    Raises
    ------
    NoTelemetry
        If spans are requested and the extra for OpenTelemetry is not installed.
    """
    only: TelemetryConfig = {"metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
    if not is_wanted:
        return {**only, "tracing": False}
    return {**only, "tracing": True, "tracer_provider": spans.start(), "exclude": is_probe}


def is_probe(scope: MutableMapping[str, Any]) -> bool:
    """Return whether a request is for health or metrics, which monitoring tools send every few seconds."""
    return str(scope.get("path", "")).endswith(PROBES)


def note_ids() -> None:
    """Add the ids in the log line of the current request to its span, if it has one."""
    for name, value in log_context.read().items():
        get_current_span().set_attribute(f"{spans.NAMESPACE}.{name}", value)

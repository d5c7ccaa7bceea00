"""Send tracing spans of requests and runs to OpenTelemetry, if the setting `spans` is on.

FastAPI creates the spans of requests. OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT, set the
destination. Source: https://opentelemetry.io/docs/specs/otel/trace/api/
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import StatusCode, set_span_in_context

if TYPE_CHECKING:  # packages of the extra
    from opentelemetry.sdk.trace import TracerProvider

EXTRA = "telemetry"
NAMESPACE = "mhc"
NS = 1e9
QUERY, HIDDEN = "url.query", "hidden"

_provider: "TracerProvider | None" = None


class NoTelemetry(Exception):
    """Spans are enabled, but the packages that send them are not installed."""


def start() -> "TracerProvider":
    """Start sending tracing spans; return the provider that creates them.

    Raises
    ------
    NoTelemetry
        If the extra is not installed.
    """
    global _provider
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        raise NoTelemetry(f"spans: they need the extra {EXTRA}: pip install 'mhc-scope[{EXTRA}]'")
    _provider = _build_provider()
    return _provider


def stop() -> None:
    """Send the tracing spans that have not been sent."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


def record_run(ids: Mapping[str, str], queued_at: float, begun_at: float | None, ended_at: float) -> None:
    """Send a tracing span of a run that has ended, with child spans of its wait and its computation.

    ids: its run, kind, client and status. Times are seconds since 1970; `begun_at` is None if no worker began the run.
    """
    if _provider is None:
        return
    tracer = _provider.get_tracer(NAMESPACE)
    attributes = {f"{NAMESPACE}.{name}": value for name, value in ids.items()}
    whole = tracer.start_span(f"run {ids['kind']}", Context(), attributes=attributes, start_time=to_ns(queued_at))
    inside, begun_at = set_span_in_context(whole, Context()), begun_at or ended_at
    for part, begin, end in (("wait", queued_at, begun_at), ("compute", begun_at, ended_at)):
        tracer.start_span(part, inside, start_time=to_ns(begin)).end(to_ns(end))
    if ids["status"] == "failed":
        whole.set_status(StatusCode.ERROR)
    whole.end(to_ns(ended_at))


def to_ns(seconds: float) -> int:
    """Convert seconds to nanoseconds, the time unit of tracing spans."""
    return int(seconds * NS)


def _build_provider() -> "TracerProvider":
    """Return a provider that sends tracing spans by OTLP over HTTP, without the queries of requests."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class QueryFilter(SpanProcessor):
        """Hide the queries of requests in spans, as the log does: they may contain the text of a view or a token."""

        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            """Replace the query of the request's address in a new span."""
            if span.attributes and QUERY in span.attributes:
                span.set_attribute(QUERY, HIDDEN)

    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", "mhc-scope")})
    )
    provider.add_span_processor(QueryFilter())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider

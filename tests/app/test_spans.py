"""Spans of a real server, as a collector gets them by OTLP over HTTP."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from mhc_scope import spans
from tests.conftest import ROOT, compute, start_server

pytestmark = pytest.mark.full

WAIT_S = 30.0


class Collector(ThreadingHTTPServer):
    """Takes spans at /v1/traces, and keeps them with the name of the service that sent them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.spans: list[tuple[str, Span]] = []

    def find(self, wanted: Callable[[Span], bool]) -> Span:
        """The first span that is wanted, once it has come."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            for _, span in list(self.spans):
                if wanted(span):
                    return span
            time.sleep(0.05)
        raise AssertionError(f"no such span among {[span.name for _, span in self.spans]}")


class _Taker(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = read_attributes(resource.resource)
            found = [span for scope in resource.scope_spans for span in scope.spans]
            self.server.spans += [(names["service.name"], span) for span in found]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def read_attributes(of: Any) -> dict[str, str]:
    """Attributes that are texts."""
    return {item.key: item.value.string_value for item in of.attributes}


def is_named(name: str, parent: bytes = b"") -> Callable[[Span], bool]:
    """The spans of this name, and of this parent where one is given."""
    return lambda span: span.name == name and span.parent_span_id == (parent or span.parent_span_id)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """One that runs, and the variables by which a server finds it."""
    taking = Collector()
    threading.Thread(target=taking.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{taking.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield taking
    taking.shutdown()
    taking.server_close()


def test_a_run_and_its_request_can_be_followed(
    collector: Collector, tmp_path: Path, fresh_spec: Callable[..., dict[str, Any]]
) -> None:
    server = start_server(tmp_path, "--no-precompute", "--spans", forked=False)
    try:
        with httpx.Client(base_url=server.api) as http:
            run_id = compute(http, fresh_spec())
            answer = http.get(f"/runs/{run_id}?secret=word", headers={"X-Request-ID": "asked-by-a-test"})
            assert answer.status_code == 200

        def is_request(span: Span) -> bool:
            return read_attributes(span).get("mhc.request") == "asked-by-a-test"

        request = collector.find(is_request)
        assert request.name == "GET /api/v1/runs/{run_id}"  # the route, or each run would be a name of its own
        assert read_attributes(request)["mhc.run"] == run_id
        assert read_attributes(request)["url.query"] == "hidden"
        assert read_attributes(request)["mhc.client"] == "address:127.0.0.1"

        run = collector.find(lambda span: read_attributes(span).get("mhc.run") == run_id and span.name == "run run")
        assert read_attributes(run)["mhc.status"] == "done"
        wait, work = (collector.find(is_named(name, run.span_id)) for name in ("wait", "compute"))
        assert run.start_time_unix_nano == wait.start_time_unix_nano
        assert wait.end_time_unix_nano == work.start_time_unix_nano
        assert work.start_time_unix_nano < work.end_time_unix_nano == run.end_time_unix_nano
        assert {name for name, _ in collector.spans} == {"mhc-scope"}
        assert not [span.name for _, span in collector.spans if "readyz" in span.name]
    finally:
        server.terminate()


def test_a_failed_run_is_an_error_and_what_ended_in_the_queue_was_not_computed(collector: Collector) -> None:
    spans.start()
    now = time.time()
    ids = {"run": "a", "kind": "run", "client": "key", "status": "failed"}
    spans.record_run(ids, now - 2, None, now)
    spans.stop()
    run, work = collector.find(is_named("run run")), collector.find(is_named("compute"))
    assert run.status.code == Status.STATUS_CODE_ERROR
    assert work.start_time_unix_nano == work.end_time_unix_nano


def test_without_the_setting_what_sends_is_not_loaded() -> None:
    code = "import sys, mhc_scope.main; print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "[]"

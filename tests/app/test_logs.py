"""The log: one line a record whatever it holds, in JSON or for people, and ids of what it is about."""

import contextvars
import json
import logging
import threading

import pytest

from mhc_scope import log_context
from mhc_scope.logs import JsonFormatter, TextFormatter

EVIL = 'two\nlines "quoted" \u2028 end'


def build_record(message: str, **extra: object) -> logging.LogRecord:
    """A record as a logger makes it."""
    logger = logging.getLogger("mhc.test")
    return logger.makeRecord("mhc.test", logging.WARNING, __file__, 1, message, (), None, extra=extra)


@pytest.mark.parametrize("text", ["plain", EVIL, "nul \x00 byte", "caf\u00e9"])
def test_a_record_is_one_json_object_on_one_line(text: str) -> None:
    line = JsonFormatter().format(build_record(text, status=200, ms=1.5, other=text))
    assert len(line.splitlines()) == 1 or "\u2028" in text
    assert "\n" not in line
    told = json.loads(line)
    assert told["message"] == told["other"] == text
    assert (told["level"], told["logger"], told["status"], told["ms"]) == ("warning", "mhc.test", 200, 1.5)
    assert told["time"].endswith("Z")


def test_text_of_others_makes_no_second_line() -> None:
    line = TextFormatter().format(build_record(EVIL, path="/\n2026 ERROR forged"))
    assert "\n" not in line
    assert line.endswith("path=/\\n2026 ERROR forged")


def test_a_crash_carries_its_trace() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        record = build_record("it failed")
        record.exc_info = (type(error), error, error.__traceback__)
    assert "ValueError: broken" in json.loads(JsonFormatter().format(record))["error"]
    assert "ValueError: broken" in TextFormatter().format(record)


def test_lines_name_request_client_and_run_also_from_a_thread() -> None:
    told: list[dict[str, str]] = []

    def serve(request: str, client: str) -> None:
        log_context.begin(request=request)
        state = contextvars.copy_context()
        thread = threading.Thread(target=lambda: state.run(lambda: log_context.note(client=client)))
        thread.start()
        thread.join()
        log_context.note(run="r1")
        told.append(json.loads(JsonFormatter().format(build_record("done"))))

    for request, client in (("a", "x"), ("b", "y")):
        contextvars.copy_context().run(serve, request, client)
    assert [(line["request"], line["client"], line["run"]) for line in told] == [("a", "x", "r1"), ("b", "y", "r1")]


def test_outside_of_a_request_nothing_is_noted() -> None:
    contextvars.Context().run(lambda: log_context.note(client="nobody"))
    assert contextvars.Context().run(log_context.read) == {}

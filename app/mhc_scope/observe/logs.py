"""The log, for people or one JSON object a line for a collector of logs."""

import logging
from datetime import UTC, datetime
from typing import Any

import orjson

from mhc_scope.observe import context
from mhc_scope.settings import LogFormat

# Attributes that each record has; all else was passed as `extra`.
USUAL = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"))


def configure(log_format: LogFormat) -> None:
    """Write everything of level INFO and above to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class TextFormatter(logging.Formatter):
    """One line for people: when, how grave, who says it, what, and what it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message, and behind it `name=value` of each field."""
        told = "".join(f" {name}={_escape(str(value))}" for name, value in _list_fields(record).items())
        return _escape(super().formatMessage(record)) + told


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` in UTC, `level`, `logger`, `message`, ids and fields, `error` with its trace."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_list_fields(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _list_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Ids of what the line is about, and what was passed as `extra`, which knows better."""
    return context.read() | {name: value for name, value in vars(record).items() if name not in USUAL}


def _escape(text: str) -> str:
    """Text of others must not look like a line of its own."""
    return text.replace("\n", "\\n").replace("\r", "\\r")

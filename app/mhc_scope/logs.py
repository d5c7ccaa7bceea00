"""Write the log as text, or as one JSON object per line for a collector of logs."""

import logging
from datetime import UTC, datetime
from typing import Any

import orjson

from mhc_scope import log_context
from mhc_scope.settings import LogFormat

# Attributes that every log record has. All others were passed as `extra`.
USUAL = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"))


def configure(log_format: LogFormat) -> None:
    """Write log lines of level INFO and above to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class TextFormatter(logging.Formatter):
    """One line of text per log record: time, level, logger, message, and its ids and fields."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the message, followed by `name=value` of each field."""
        fields = "".join(f" {name}={_escape(str(value))}" for name, value in _list_fields(record).items())
        return _escape(super().formatMessage(record)) + fields


class JsonFormatter(logging.Formatter):
    """One JSON object per log record: `time` in UTC, `level`, `logger`, `message`, ids, fields, `error` (traceback)."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a log record as a line of JSON."""
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
    """Return the ids of the current context and the fields passed as `extra`, which take precedence."""
    return log_context.read() | {name: value for name, value in vars(record).items() if name not in USUAL}


def _escape(text: str) -> str:
    """Escape line ends in text from clients, so that it cannot look like a separate log line."""
    return text.replace("\n", "\\n").replace("\r", "\\r")

"""Log lines: JSON with the ids of the current span, or text for people.

Life of a line: any module's logger -> the root handler that `configure` installs -> standard error. Libraries that
log every failed call with a traceback (pysui's transport, aiohttp's access log) are turned down here, once; so is what
aiohttp says of senders that speak no HTTP, who are answered with 400 and are no fault of ours.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

from aiohttp.http_exceptions import HttpProcessingError
from opentelemetry import trace

LogFormat = Literal["json", "text"]
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOISY = ("pgrpc_client", "pgql_client", "async_funcs", "aiohttp.access", "hpack", "grpc")


class _NoSendersFaults(logging.Filter):
    """Drops the tracebacks that a port scan would fill the log with."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a request that cannot be parsed."""
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_NO_SENDERS_FAULTS = _NoSendersFaults()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what was given as `extra`, trace and span ids."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Renders the record; values that JSON cannot hold become their text."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
            line["span_id"] = trace.format_span_id(context.span_id)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`12:00:00.123 INFO walrus_node.events: message key=value ...`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Renders the record and appends what was given as `extra`."""
        extras = " ".join(f"{key}={value}" for key, value in vars(record).items() if key not in _STANDARD)
        text = super().format(record)
        if not extras:
            return text
        head, newline, tail = text.partition("\n")
        return f"{head} {extras}{newline}{tail}"


def configure(
    service: str, *, log_format: LogFormat = "json", level: str = "info", stream: TextIO | None = None
) -> logging.Handler:
    """Makes the root logger write to `stream` (standard error) in the given form; replaces an earlier set-up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(service) if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL if name.endswith(("client", "funcs")) else logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(_NO_SENDERS_FAULTS)
    return handler

"""Logs: one JSON object per line on standard error, or readable lines on a terminal.

Whatever is logged here or through the standard library, by us or by a library, passes the same redaction. An event
cannot forge a second one: control and direction characters are escaped in both forms (B91). What is logged while a call
is under way holds the id by which its caller can name it (`correlation.py`).
"""

from __future__ import annotations

import logging
import sys
import unicodedata
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

from leverlock import access_log, correlation
from leverlock.redaction import redacted

Event = MutableMapping[str, Any]
Format = Literal["auto", "json", "console"]


def configure(level: str = "info", form: Format = "auto", stream: TextIO | None = None) -> None:
    """Set up logging for the whole process; standard library loggers included. May be called again."""
    out = stream or sys.stderr
    console = form == "console" or (form == "auto" and out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _correlated,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    last: list[structlog.typing.Processor] = [
        ProcessorFormatter.remove_processors_meta,
        _exception_without_values,
        redact,
    ]
    if console:
        last += [_escape, structlog.dev.ConsoleRenderer(colors=out.isatty())]
    else:
        last.append(structlog.processors.JSONRenderer(sort_keys=True, ensure_ascii=True))
    handler = logging.StreamHandler(out)
    # What the standard library's loggers carry in `extra` belongs to their events as well.
    foreign: list[structlog.typing.Processor] = [structlog.stdlib.ExtraAdder(), *shared]
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=foreign, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    access_log.configure(out)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "aiohttp"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    # Who started and stopped is said by us; uvicorn's own words about it are for debugging.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, root.level) if level != "debug" else logging.DEBUG)


def _correlated(_logger: Any, _method: str, event: Event) -> Event:
    call = correlation.current()
    if call is not None:
        event.setdefault("correlation", call.id)
    return event


def redact(_logger: Any, _method: str, event: Event) -> Event:
    """The processor through which every event passes last."""
    return {name: redacted(name, value) for name, value in event.items()}


def _exception_without_values(_logger: Any, _method: str, event: Event) -> Event:
    """Where it happened and of what type: files, lines and functions, never the values of variables.

    The message of an exception may quote what a stranger sent, so it passes the redaction like any text.
    """
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    problem = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else None
    if problem is None:
        return event
    frames = []
    trace = problem.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_qualname}")
        trace = trace.tb_next
    event["exception"] = f"{type(problem).__name__}: {problem}"
    event["where"] = frames[-12:]
    return event


def _escape(_logger: Any, _method: str, event: Event) -> Event:
    return {name: _visible(value) if isinstance(value, str) else value for name, value in event.items()}


def _visible(value: str) -> str:
    return "".join(c if not unicodedata.category(c).startswith(("C", "Zl", "Zp")) else ascii(c)[1:-1] for c in value)

"""Log lines: for people as text, for machines as JSON."""

import logging
import os
import sys
import time
from typing import Any, Literal

import msgspec

__all__ = ["Form", "begin_logging"]

Form = Literal["text", "json"]

_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}
_PLAIN = "\x1b[0m"


def begin_logging(*, level: str, form: Form, label: str = "") -> None:
    """Have everything of `level` and above written to stderr; `label` names this process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(label) if form == "json" else _Text(label, coloured=_coloured()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn.error", "asyncio", "watchfiles.main"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _coloured() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


class _Text(logging.Formatter):
    """12:34:56.789 info  isthmus.http: listening on http://127.0.0.1:8000"""

    def __init__(self, label: str, *, coloured: bool) -> None:
        super().__init__()
        self._label, self._coloured = f"[{label}] " if label else "", coloured

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname.lower():7}"
        if self._coloured and (colour := _COLOURS.get(record.levelname)):
            level = f"{colour}{level}{_PLAIN}"
        line = (
            f"{at}.{int(record.msecs):03} {level} {self._label}{record.name}: {record.getMessage()}"
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def __init__(self, label: str) -> None:
        super().__init__()
        self._label = label

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if self._label:
            told["worker"] = self._label
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told).decode()

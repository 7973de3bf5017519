"""One JSON object per line on stderr, for our events and for libraries' alike.

Fields that could carry a prompt, a secret or a signed URL are dropped by name and,
in case one slipped into another field, blotted out by form.
"""

import contextlib
import logging
import re
import sys
import time
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict

from service.settings import Settings

_PRIVATE = frozenset(
    {
        "api_key",
        "authorization",
        "body",
        "cookie",
        "headers",
        "key",
        "negative_prompt",
        "password",
        "prompt",
        "query",
        "query_string",
        "redis_url",
        "secret",
        "signed_url",
        "token",
        "url",
    }
)
_SECRETS = re.compile(
    r"\bsk_[A-Za-z0-9_-]{8,}|(?<=://)[^/@\s]+@|\bBearer\s+\S+|[?&](?:sig|X-Amz-\w+)=\S+"
)
_SUSPICIOUS = (b"sk_", b"://", b"Bearer", b"sig=", b"X-Amz-")
"""One after the other they are found four times as fast as by an expression."""
_FIELD_LIMIT = 1_000
_TRACEBACK_LIMIT = 8_000
_CONTROL = {
    **{c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160))},
    **{c: f"\\u{c:04x}" for c in (*range(0x2028, 0x202F), *range(0x2066, 0x206A))},
}
"""What a terminal obeys, or shows in another order than it stands."""
_QUIET = ("arq", "asyncio", "aiohttp", "botocore", "boto3", "urllib3", "redis")


def configure(settings: Settings) -> None:
    """Send all log lines of this process through one pipe; again replaces it."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    render = as_json if settings.json_logs else as_line
    structlog.configure(
        processors=[render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Patient(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Patient(structlog.WriteLogger):
    """A line that a full disk has no room for is lost, and ends nobody."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError):
            super().msg(message)

    debug = info = warning = error = critical = exception = msg


def as_json(logger: Any, method: str, event: EventDict) -> str:
    """Render one line; nothing private leaves by it.

    One processor instead of the usual five: a front door writes a line per request.
    """
    event = _dated(logger, method, event)
    if _PRIVATE.isdisjoint(event):
        line = orjson.dumps(event, default=str)
        # Nearly every line is short and holds nothing that even looks private.
        if len(line) <= _FIELD_LIMIT and not any(map(line.__contains__, _SUSPICIOUS)):
            return line.decode()
    return orjson.dumps(redact(event), default=str).decode()


def redact(event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Return the fields without private ones; secrets blotted out, long ones cut."""
    return {name: _seen(name, v) for name, v in event.items() if name not in _PRIVATE}


def _seen(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return redact(dict(value))
    if isinstance(value, int | float | None):
        return value
    text = value if isinstance(value, str) else str(value)
    limit = _TRACEBACK_LIMIT if name == "exception" else _FIELD_LIMIT
    if len(text) > limit:
        text = text[:limit] + "..."
    return _SECRETS.sub("[redacted]", text)


def _dated(logger: Any, method: str, event: EventDict) -> EventDict:
    bound = structlog.contextvars.get_contextvars()
    dated = {**bound, **event} if bound else event
    dated["level"] = method
    dated["timestamp"] = _timestamp(time.time_ns())
    if "exc_info" in dated:
        dated = structlog.processors.format_exc_info(logger, method, dated)
    return dated


def _timestamp(ns: int) -> str:
    seconds, rest_ns = divmod(ns, 1_000_000_000)
    return f"{_to_the_second(seconds)}.{rest_ns // 1_000_000:03}Z"


@lru_cache(maxsize=4)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def as_line(logger: Any, method: str, event: EventDict) -> str:
    """Render `12:00:00 info    request.finished status=200`, for people."""
    fields = redact(_dated(logger, method, event))
    at, level = fields.pop("timestamp", ""), fields.pop("level", "")
    name, exception = fields.pop("event", ""), fields.pop("exception", None)
    pairs = " ".join(f"{name}={value}" for name, value in fields.items())
    line = f"{at[11:19]} {level:7} {name} {pairs}".rstrip().translate(_CONTROL)
    return line if exception is None else f"{line}\n{exception}"

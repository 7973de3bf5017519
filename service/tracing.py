"""Traces, for those who collect them: off unless DARKROOM_TRACING says otherwise.

    request --> record (field `traceparent`) --> attempt --> provider call
                                             --> delivery of the webhook

What goes from hand to hand is the W3C's `traceparent`, a line of text: the processes
need no clock or memory in common. OpenTelemetry is an extra (`darkroom[otel]`) and
takes its own settings, `OTEL_EXPORTER_OTLP_ENDPOINT` and the like; without it, a
caller's trace id still stands in the log.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Literal, TypeAlias

from service.settings import ConfigurationError, Settings

Kind: TypeAlias = Literal["server", "client", "consumer", "producer"]

_FORM = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


class _Tracing:
    """Which tracer this process has; None: it makes no spans."""

    tracer: Any = None


class Span:
    """What is being done; takes what becomes known meanwhile."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def name(self, name: str) -> None:
        """Call it otherwise."""
        if self._span is not None:
            self._span.update_name(name)

    def note(self, **attributes: str | int) -> None:
        """Add what is known of it; underscores in names stand for dots."""
        if self._span is not None:
            for name, value in attributes.items():
                self._span.set_attribute(name.replace("_", ".", 1), value)


_NO_SPAN = Span()
_NOTHING = nullcontext(_NO_SPAN)


def current() -> str | None:
    """Return the `traceparent` of what is being done; None: it is in no trace."""
    return _current.get()


def ids() -> Mapping[str, str]:
    """Return the field that a line of the log has within a trace."""
    traceparent = _current.get()
    return {} if traceparent is None else {"trace_id": traceparent[3:35]}


def is_on() -> bool:
    """Whether this process makes spans."""
    return _Tracing.tracer is not None


def carried() -> Mapping[str, str]:
    """Return the headers that take the trace along to another service."""
    traceparent = _current.get() if is_on() else None
    return {} if traceparent is None else {"traceparent": traceparent}


def span(
    name: str, *, parent: str | None = None, kind: Kind
) -> AbstractContextManager[Span]:
    """Do something within a trace.

    Args:
        name: What is done.
        parent: The `traceparent` it is a part of; None, or nonsense: of what is being
            done, if there is such a thing.
        kind: From whose point of view.
    """
    above = parent if parent is not None and _FORM.fullmatch(parent) else None
    if _Tracing.tracer is None and above is None:
        return _NOTHING  # which most requests are: it costs a tenth
    return _span(name, above or current(), kind)


@contextmanager
def _span(name: str, above: str | None, kind: Kind) -> Iterator[Span]:
    if _Tracing.tracer is None:
        with _within(above):
            yield _NO_SPAN
        return
    api = import_module("opentelemetry.trace")
    begun = _Tracing.tracer.start_as_current_span(
        name, context=_context(above), kind=api.SpanKind[kind.upper()]
    )
    with begun as made, _within(_line(made.get_span_context())):
        yield Span(made)


def begin(settings: Settings, *, service: str) -> None:
    """Send spans from now on where OpenTelemetry's own variables say.

    Raises:
        ConfigurationError: DARKROOM_TRACING is set, and the extra is not installed.
    """
    if not settings.tracing:
        return
    try:
        otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        batches = import_module("opentelemetry.sdk.trace.export").BatchSpanProcessor
        resource = import_module("opentelemetry.sdk.resources").Resource
        spans = import_module("opentelemetry.sdk.trace")
    except ImportError as exc:
        raise ConfigurationError(
            "DARKROOM_TRACING needs OpenTelemetry: pip install 'darkroom[otel]'"
        ) from exc
    provider = spans.TracerProvider(resource=resource.create({"service.name": service}))
    provider.add_span_processor(batches(otlp.OTLPSpanExporter()))
    use(provider)


def use(provider: Any) -> None:
    """Make spans with this provider; None: make none."""
    _Tracing.tracer = None if provider is None else provider.get_tracer("darkroom")


@contextmanager
def _within(traceparent: str | None) -> Iterator[None]:
    token = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(token)


def _context(traceparent: str | None) -> Any:
    """Return OpenTelemetry's form of what is above; nothing of ours is global."""
    api = import_module("opentelemetry.trace")
    context = import_module("opentelemetry.context")
    if traceparent is None:
        return context.Context()
    above = api.SpanContext(
        trace_id=int(traceparent[3:35], 16),
        span_id=int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=api.TraceFlags(int(traceparent[53:55], 16)),
    )
    return api.set_span_in_context(api.NonRecordingSpan(above), context.Context())


def _line(made: Any) -> str:
    return f"00-{made.trace_id:032x}-{made.span_id:016x}-{made.trace_flags:02x}"

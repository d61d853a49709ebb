"""A session's timeline as one OpenTelemetry trace, sent where the standard variables say.

The only importer of opentelemetry, which is there with the extra ``otel``. Attributes are those of
the semantic conventions (registry: test, code, process); what these do not know is under ``gotest.``.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_gotest import __version__
from pytest_gotest._timeline import BAD, Session, Span

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, Tracer

    Attributes = dict[str, str | int]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_TIMEOUT = 5.0  # seconds for one request and its repetitions, where no variable says otherwise
_LIMIT = 20.0  # seconds for all, name look-ups that hang included
_BATCH = 512  # spans in one request

_CASE = {"passed": "pass", "xpassed": "pass", "failed": "fail", "error": "fail", "crashed": "fail"}
_RUN = {0: "success", 1: "failure", 2: "aborted", 5: "skipped"}  # by pytest's exit status
_PARTS = ("collect", "build", "wait", "reset")


def export(session: Session) -> str:
    """Send the trace. Returns in one line what went wrong, empty if nothing did; raises nothing."""
    if _is_off():
        return ""
    heard = _Heard()
    logger = logging.getLogger("opentelemetry")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(heard)
    problem = ""

    def work() -> None:
        nonlocal problem
        try:
            _send(_spans(session))
        except ImportError as error:
            problem = f"{error.name or error} is not installed: pip install 'pytest-gotest[otel]'"
        except Exception as error:
            problem = heard.first or f"{type(error).__name__}: {error}"

    # A thread that nobody waits for at the end: a resolver may hang for longer than any timeout.
    thread = threading.Thread(target=work, name="gotest otel", daemon=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whatever the libraries say is not the tests' doing
            thread.start()
            thread.join(_LIMIT)
        if thread.is_alive():
            problem = f"no answer within {_LIMIT:g} s"
    finally:
        logger.removeHandler(heard)
        logger.propagate = propagate
    where = next(os.environ[name] for name in ENDPOINTS if os.environ.get(name))
    return f"no trace sent to {where}: {problem}" if problem else ""


def _is_off() -> bool:
    environ = os.environ
    return (
        not any(environ.get(name) for name in ENDPOINTS)
        or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        or environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    )


class _Heard(logging.Handler):
    """Keeps what the exporter says first of a failure: it tells its log only."""

    first = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or " ".join(record.getMessage().split())[:300]


class _NotTaken(Exception):
    pass


def _send(spans: Sequence[ReadableSpan]) -> None:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    protocol = next((value for name in _PROTOCOLS if (value := os.environ.get(name))), "")
    options: dict[str, Any] = {}
    if not any(os.environ.get(name) for name in _TIMEOUTS):
        options["timeout"] = _TIMEOUT
    exporter: SpanExporter
    if protocol == "grpc":
        # Not in the extra, for its size.
        import importlib

        module = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
        exporter = module.OTLPSpanExporter(**options)
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(**options)
    try:
        for first in range(0, len(spans), _BATCH):
            if exporter.export(spans[first : first + _BATCH]) is not SpanExportResult.SUCCESS:
                raise _NotTaken("the receiver did not take it")
    finally:
        exporter.shutdown()


def _spans(session: Session) -> list[ReadableSpan]:
    """The finished spans of a session, a parent after its children."""
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    class Kept(SpanProcessor):
        def __init__(self) -> None:
            self.spans: list[ReadableSpan] = []

        def on_end(self, span: ReadableSpan) -> None:
            self.spans.append(span)

    kept = Kept()
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if named else {"service.name": "pytest"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(kept)
    tracer = provider.get_tracer("pytest_gotest", __version__)
    # How a CI system hands its own trace to the programs that it starts.
    carrier = {
        name: os.environ[name.upper()]
        for name in ("traceparent", "tracestate")
        if name.upper() in os.environ
    }
    above = TraceContextTextMapPropagator().extract(carrier)
    root = tracer.start_span(
        f"pytest {session.root}",
        context=above,
        start_time=_nanos(session.begin),
        attributes={
            "test.suite.name": session.root,
            "test.suite.run.status": _RUN.get(session.status, "failure"),
        },
    )
    if session.status in (1, 3, 4):
        root.set_status(trace.StatusCode.ERROR)
    _make(tracer, session, trace.set_span_in_context(root, above))
    root.end(_nanos(session.end))
    return kept.spans


def _make(tracer: Tracer, session: Session, around: Context) -> None:
    from opentelemetry import trace

    items: dict[tuple[str, str], SpanContext] = {}

    def made(
        span: Span, attributes: Attributes, context: Context, link: SpanContext | None = None
    ) -> trace.Span:
        one = tracer.start_span(
            _text(span.name),
            context=context,
            start_time=_nanos(span.begin),
            attributes={name: _value(value) for name, value in attributes.items()},
            links=[trace.Link(link)] if link is not None else None,
        )
        if span.outcome in BAD:
            one.set_status(trace.StatusCode.ERROR)
        return one

    for worker in session.workers:
        ours: Attributes = {"gotest.worker": worker.name}
        for span in worker.spans:
            if span.category == "test":
                one = made(span, ours | _case(span.detail, span.outcome), around)
                one.end(_nanos(span.end))
                items[worker.name, span.name] = one.get_span_context()
            elif span.category in _PARTS:
                kind: Attributes = {"gotest.category": span.category}
                if span.category != "collect":
                    span = replace(span, name=f"{span.category} {span.name}")
                made(span, ours | kind, around).end(_nanos(span.end))
        for process in worker.processes:
            known = ours | dict(_process(process.span.detail))
            one = made(process.span, known, around)
            inside = trace.set_span_in_context(one, around)
            for span in process.inner:
                item = items.get((worker.name, span.detail.get("nodeid", "")))
                made(span, ours | dict(_run(span)), inside, item).end(_nanos(span.end))
            one.end(_nanos(process.span.end))


def _case(detail: Mapping[str, Any], outcome: str) -> Attributes:
    nodeid = str(detail["nodeid"])
    path, _, line = str(detail.get("file", "")).rpartition(":")
    if not line.isdigit():
        path, line = str(detail.get("file", "")), ""
    found: Attributes = {
        "test.case.name": nodeid,
        "test.case.result.status": _CASE.get(outcome, outcome or "skipped"),
        "test.suite.name": nodeid.partition("::")[0],
    }
    if path:
        found["code.file.path"] = path
    if line:
        found["code.line.number"] = int(line)
    found["code.function.name"] = nodeid.rpartition("::")[2].partition("[")[0]
    return found


def _process(detail: Mapping[str, Any]) -> Iterator[tuple[str, str | int]]:
    yield "gotest.category", "process"
    yield "gotest.package", str(detail["package"])
    yield "process.pid", int(detail["pid"])
    if "code" in detail:
        yield "process.exit.code", int(detail["code"])


def _run(span: Span) -> Iterator[tuple[str, str | int]]:
    """What ran in a Go process. The test case is its item, to which it is linked."""
    package = str(span.detail["package"])
    yield "gotest.category", span.category
    yield "gotest.package", package
    if span.category == "go test":
        yield "code.function.name", f"{package}.{span.name.partition('/')[0]}"
        yield "gotest.outcome", span.outcome


def _nanos(seconds: float) -> int:
    return int(seconds * 1e9)


def _text(words: str) -> str:
    """Protobuf takes UTF-8 only; an id may hold the bytes of a file name."""
    return words.encode("utf-8", "replace").decode()


def _value(value: str | int) -> str | int:
    return _text(value) if isinstance(value, str) else value

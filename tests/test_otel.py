"""A session's trace, as a real receiver of OTLP over HTTP gets it; and what is said where there is none."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator

import pytest
from otlp import Receiver, attributes

from pytest_gotest import _otel
from pytest_gotest._timeline import Process, Session, Span, Worker

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACEPARENT", "TRACESTATE", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)


def shop(tests: int = 1) -> Session:
    item = "a/a_test.go::TestA"
    spans = [
        Span("collection", "collect", 1000.0, 1001.0),
        Span("1 package", "build", 1000.5, 1001.0),
        Span(item, "test", 1002.0, 1003.0, "failed", {"nodeid": item, "file": "a/a_test.go:12"}),
        Span("call", "call", 1002.0, 1003.0, "failed", {"nodeid": item}),
        *(
            Span(f"t.py::test_{n}", "test", 1003.0, 1004.0, "passed", {"nodeid": f"t.py::test_{n}"})
            for n in range(tests - 1)
        ),
    ]
    process = Process(
        Span("m/a", "process", 1001.0, 1004.0, "", {"package": "m/a", "pid": 77, "code": 1}),
        (
            Span(
                "TestA/sub", "go test", 1001.5, 1002.5, "failed", {"package": "m/a", "nodeid": item}
            ),
        ),
    )
    return Session("shop", 1, 1000.0, 1005.0, [Worker("gw0", 1000.0, 1005.0, spans, [process])])


def test_one_trace_with_the_conventions_names(receiver: Receiver) -> None:
    assert _otel.export(shop()) == ""
    assert len({span.trace_id for span in receiver.spans}) == 1
    assert receiver.resource["service.name"] == "pytest"
    root, case, process, run = map(
        receiver.named, ("pytest shop", "a/a_test.go::TestA", "m/a", "TestA/sub")
    )
    assert {span.name for span in receiver.spans} == {
        root.name, case.name, process.name, run.name, "collection", "build 1 package"
    }  # fmt: skip
    assert attributes(root) == {"test.suite.name": "shop", "test.suite.run.status": "failure"}
    assert attributes(case) == {
        "gotest.worker": "gw0",
        "test.case.name": "a/a_test.go::TestA",
        "test.case.result.status": "fail",
        "test.suite.name": "a/a_test.go",
        "code.file.path": "a/a_test.go",
        "code.line.number": 12,
        "code.function.name": "TestA",
    }
    assert attributes(process) == {
        "gotest.worker": "gw0",
        "gotest.category": "process",
        "gotest.package": "m/a",
        "process.pid": 77,
        "process.exit.code": 1,
    }
    assert attributes(run)["code.function.name"] == "m/a.TestA"
    assert not root.parent_span_id
    assert case.parent_span_id == process.parent_span_id == root.span_id
    assert run.parent_span_id == process.span_id
    assert [link.span_id for link in run.links] == [case.span_id]
    assert (run.start_time_unix_nano, run.end_time_unix_nano) == (
        1001_500_000_000,
        1002_500_000_000,
    )
    failed = 2  # STATUS_CODE_ERROR of OTLP
    assert [span.status.code for span in (root, case, process, run)] == [failed, failed, 0, failed]


def test_the_trace_of_a_ci_system_goes_on(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", TRACEPARENT)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-ci")
    assert _otel.export(shop()) == ""
    root = receiver.named("pytest shop")
    assert root.trace_id.hex() == TRACEPARENT.split("-")[1]
    assert root.parent_span_id.hex() == TRACEPARENT.split("-")[2]
    assert receiver.resource["service.name"] == "shop-ci"


def test_many_spans_go_in_several_requests_and_none_is_lost(receiver: Receiver) -> None:
    assert _otel.export(shop(tests=3000)) == ""
    assert receiver.requests > 1
    assert sum(span.name.startswith("t.py::") for span in receiver.spans) == 2999


def test_names_that_are_no_text_are_sent_all_the_same(receiver: Receiver) -> None:
    nodeid = "t.py::test_\udcff"
    case = Span(nodeid, "test", 1.0, 2.0, "passed", {"nodeid": nodeid})
    assert _otel.export(Session("shop", 0, 0.0, 3.0, [Worker("main", 0.0, 3.0, [case])])) == ""
    assert attributes(receiver.named("t.py::test_?"))["test.case.name"] == "t.py::test_?"


def test_a_receiver_that_refuses_is_told_of_once(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 400
    said = _otel.export(shop())
    assert said.startswith(f"no trace sent to {receiver.url}: ")
    assert "400" in said
    assert "\n" not in said
    assert receiver.requests == 1
    assert caplog.records == [], "the exporter's own log stays out of pytest's"


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    said = _otel.export(shop())
    assert said.startswith(f"no trace sent to {url}: ")
    assert "\n" not in said


def test_who_never_answers_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit ends it, and not the exporter: its own is set to an hour."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")
        monkeypatch.setattr(_otel, "_LIMIT", 0.5)
        assert _otel.export(shop()) == f"no trace sent to {url}: no answer within 0.5 s"
        (left,) = (one for one in threading.enumerate() if one.name == "gotest otel")
        assert left.daemon, "it does not keep pytest from ending"
        connection, _ = silent.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            left.join(30)
        assert not left.is_alive()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
    ],
)
def test_it_is_off(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert _otel.export(shop()) == ""
    assert receiver.requests == 0


def test_without_the_extra_it_says_what_to_install(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    said = _otel.export(shop())
    assert said.endswith("is not installed: pip install 'pytest-gotest[otel]'")
    assert receiver.requests == 0

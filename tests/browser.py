"""A real browser for a page: Chromium without a window, spoken to by its own protocol over two pipes."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PATIENCE = 60.0  # seconds for one answer


def need_browser() -> str:
    """The browser's command. Skips on a machine without one; CI installs one, and there it is needed."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None and "CI" not in os.environ:
        pytest.skip(f"needs a browser, and none of {', '.join(_NAMES)} is on PATH")
    assert found is not None, "CI has to have a browser: see .ci/run"
    return found


class Page:
    """One page in one browser. ``events`` holds all that the browser told by itself."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._selector = selectors.DefaultSelector()
        self._selector.register(back, selectors.EVENT_READ)
        self._held = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            assert self._selector.select(_PATIENCE), "the browser does not answer"
            chunk = os.read(self._back, 1 << 16)
            assert chunk, "the browser has ended"
            self._held += chunk
        one, _, self._held = self._held.partition(b"\0")
        message: dict[str, Any] = json.loads(one)
        return message

    def open(self, file: Path) -> None:
        self.events.clear()
        self.call("Page.navigate", url=file.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        got = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def settle(self) -> None:
        """Until what was asked to be drawn has been drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
        self.settle()

    def key(self, key: str, **more: Any) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **more)
        self.settle()

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)
        self.settle()

    def dark(self, on: bool) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.settle()

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def complaints(self) -> list[dict[str, Any]]:
        """Exceptions, and what was written to the console or the browser's log."""
        told = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event for event in self.events if event.get("method") in told]

    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


@contextlib.contextmanager
def browser(profile: Path, *, width: int = 1200, height: int = 900) -> Iterator[Page]:
    """A browser that has its ``profile`` directory to itself, and ends with the block."""
    command = [
        need_browser(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-dev-shm-usage", "--disable-background-networking", "--remote-debugging-pipe",
        f"--user-data-dir={profile}", f"--window-size={width},{height}", "--force-device-scale-factor=1",
    ]  # fmt: skip
    theirs_in, to = os.pipe()
    back, theirs_out = os.pipe()

    def wire() -> None:
        """The browser reads from 3 and writes to 4."""
        first, second = os.dup(theirs_in), os.dup(theirs_out)
        high = max(first, second, 4) + 1
        os.dup2(first, high)
        os.dup2(second, high + 1)
        os.dup2(high, 3)
        os.dup2(high + 1, 4)

    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=wire,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        page = Page(to, back)
        yield page
        with contextlib.suppress(AssertionError, OSError):
            page.call("Browser.close")
        until = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(to)
        os.close(back)

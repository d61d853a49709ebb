"""The service as its users meet it: one real process on a free loopback port."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

MODULE = Path(__file__).parents[1]


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any


class Client:
    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Answer:
        return self._send(urllib.request.Request(self.url + path))

    def post(self, path: str, body: object) -> Answer:
        data = json.dumps(body).encode()
        return self._send(urllib.request.Request(self.url + path, data, method="POST"))

    def _send(self, request: urllib.request.Request) -> Answer:
        # A proxy of the environment has no business on the loopback interface.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            reply = opener.open(request, timeout=10)
        except urllib.error.HTTPError as error:
            reply = error
        with reply:
            return Answer(reply.status, json.load(reply), reply.headers)


@pytest.fixture(scope="session")
def bookstore_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    binary = tmp_path_factory.mktemp("bin") / "bookstore"
    command = ["go", "build", "-o", str(binary), "./cmd/bookstore"]
    subprocess.run(command, cwd=MODULE, check=True)
    return binary


@pytest.fixture(autouse=True)
def _a_fresh_shop(gotest_db: Any) -> None:
    """Each test begins with the rows of seeds/, though the service goes on with its connections open."""


@pytest.fixture(scope="session")
def shop(bookstore_binary: Path, gotest_postgres: Any) -> Iterator[Client]:
    command = [bookstore_binary, "-addr", "127.0.0.1:0", "-database", gotest_postgres.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, f"bookstore ended with {process.wait(timeout=10)} before it listened"
        yield Client(url)
    finally:
        process.terminate()
        status = process.wait(timeout=10)
        process.stdout.close()
    assert status == 0

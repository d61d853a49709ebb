"""What every test run needs: Go's caches stay put, the user's own are left alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

pytest_plugins = ["pytester"]

# Go modules with tests of their own; tests copy or name what they need of them.
collect_ignore = ["examples", "tests/go"]

# pytester gives each test a HOME of its own, from which go derives the places of its build and
# module caches, of its settings file and, by that, its proxy and toolchain: every test would
# compile the standard library and fetch its toolchains again.
GO_VARIABLES = ("GOCACHE", "GOENV", "GOMODCACHE", "GOPATH", "GOTOOLCHAIN")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """CI has twenty minutes."""
    if os.environ.get("GOTEST_CAMPAIGN"):
        return
    long = [item for item in items if item.get_closest_marker("campaign")]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)


@pytest.fixture(scope="session", autouse=True)
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Pins where go keeps its things and moves the user's cache and settings into a scratch place.

    GOTOOLCHAIN becomes what `go env` says; a test that wants another Go sets it by itself.
    """
    if shutil.which("go") is None:
        raise pytest.UsageError(
            "the tests need a go command and there is none on PATH: "
            "`python3 run.py test` brings one along"
        )
    # Of the installed toolchain, wherever pytest was started.
    answer = subprocess.run(
        ["go", "env", "-json", *GO_VARIABLES],
        cwd=tmp_path_factory.getbasetemp(),
        stdout=subprocess.PIPE,
        check=True,
    )
    home = tmp_path_factory.mktemp("home")
    # Telemetry that is not switched off starts a process of its own in every new settings folder.
    telemetry = home / "config" / "go" / "telemetry"
    telemetry.mkdir(parents=True)
    (telemetry / "mode").write_text("off")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in json.loads(answer.stdout).items():
            patch.setenv(name, value)
        # A server is started in a container only by tests that say so.
        patch.setenv("GOTEST_DOCKER_HOST", os.environ.get("DOCKER_HOST", ""))
        patch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        yield

"""Public peers that give each test a database, each by its own means: seconds until a test has one that is clean.

All get the same schema, and each test writes to three tables. Installed when they are asked for, from the Go module proxy and PyPI.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from pytest_gotest.postgres._server import Server

PGTESTDB = "github.com/peterldowns/pgtestdb@v0.1.1"
PGX = "github.com/jackc/pgx/v5@v5.7.1"
INTEGRESQL = ("github.com/allaboutapps/integresql", "v1.1.0")
TESTCONTAINERS = "github.com/testcontainers/testcontainers-go/modules/postgres@v0.45.0"
PYTEST_POSTGRESQL = "pytest-postgresql==10.0.0"

Write = Callable[[psycopg.Connection[Any], int], None]


def pgtestdb(server: Server, schema: Path, rounds: int, scratch: Path) -> list[float]:
    """New: a clone of a template, made when it is asked for."""
    env = {
        "PEER_SCHEMA": str(schema),
        "PEER_ROUNDS": str(rounds),
        "PEER_PASSWORD": server.password,
        "PEER_PORT": str(server.port),
    }
    return _of_go(scratch / "pgtestdb", _PGTESTDB, [PGTESTDB, PGX], env)


def testcontainers(image: str, schema: Path, rounds: int, scratch: Path) -> list[float]:
    """Restore, of testcontainers-go: in a container of its own, over one connection that stays."""
    env = {
        "PEER_SCHEMA": str(schema),
        "PEER_ROUNDS": str(rounds),
        "PEER_IMAGE": image,
        "TESTCONTAINERS_RYUK_DISABLED": "true",  # an image that would have to be pulled
    }
    return _of_go(scratch / "testcontainers", _TESTCONTAINERS, [TESTCONTAINERS, PGX], env)


def integresql(
    server: Server, schema: Path, rounds: int, scratch: Path, write: Write
) -> list[float]:
    """A request for a test database, of which the service makes some ahead."""
    module = scratch / "integresql"
    if not module.is_dir():
        module.mkdir()
        # By its exact version: `go install` asks for the newest one as well.
        path, version = INTEGRESQL
        (module / "go.mod").write_text(
            f"module example.com/peer\n\ngo 1.25\n\nrequire {path} {version}\n"
        )
        _done(["go", "build", "-mod=mod", "-o", ".", f"{path}/cmd/server"], module, os.environ)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "INTEGRESQL_ADDRESS": "127.0.0.1",
        "INTEGRESQL_PORT": str(port),
        "INTEGRESQL_PGHOST": server.host,
        "INTEGRESQL_PGPORT": str(server.port),
        "INTEGRESQL_PGUSER": server.user,
        "INTEGRESQL_PGPASSWORD": server.password,
        "INTEGRESQL_LOGGER_LEVEL": "error",
        "PGSSLMODE": "disable",
    }
    with _running([str(module / "server")], env, port):
        base = f"http://127.0.0.1:{port}/api/v1/templates"

        def ask(method: str, path: str = "", body: Any = None) -> Any:
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(
                base + path, data, {"Content-Type": "application/json"}, method=method
            )
            with urllib.request.urlopen(request) as answer:
                text = answer.read()
            return json.loads(text) if text else None

        def connect(told: Any) -> psycopg.Connection[Any]:
            dsn = server.dsn(dbname=told["database"]["config"]["database"])
            return psycopg.connect(dsn, autocommit=True)

        name = f"{schema.stem}-{server.port}"
        with connect(ask("POST", body={"hash": name})) as connection:
            connection.execute(schema.read_bytes())
        ask("PUT", f"/{name}")
        taken = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            told = ask("GET", f"/{name}/tests")
            taken.append(time.perf_counter() - began)
            with connect(told) as connection:
                write(connection, 3)
        return taken[1:]


def pytest_postgresql(
    server: Server, template: str, rounds: int, scratch: Path, write: Write
) -> list[float]:
    """Its fixture's janitor: drop the last test's database, make one from the template."""
    packages = scratch / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _done([*pip, "--target", str(packages), "--no-deps", PYTEST_POSTGRESQL], scratch, os.environ)
    sys.path.append(str(packages))
    try:
        module = importlib.import_module("pytest_postgresql.janitor")
    finally:
        sys.path.remove(str(packages))
    janitor = module.DatabaseJanitor(
        user=server.user,
        host=server.host,
        port=server.port,
        password=server.password,
        dbname="janitor",
        template_dbname=template,
    )
    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        janitor.drop()
        janitor.init()
        taken.append(time.perf_counter() - began)
        with psycopg.connect(server.dsn(dbname="janitor"), autocommit=True) as connection:
            write(connection, 3)
    janitor.drop()
    return taken[1:]


def _of_go(module: Path, source: str, requirements: list[str], env: dict[str, str]) -> list[float]:
    if not module.is_dir():
        module.mkdir()
        (module / "peer_test.go").write_text(source)
        (module / "go.mod").write_text("module example.com/peer\n\ngo 1.25\n")
        _done(["go", "get", *requirements], module, os.environ)
        _done(["go", "mod", "tidy"], module, os.environ)
    command = ["go", "test", "-count=1", "-v", "-timeout=30m", "."]
    said = _done(command, module, {**os.environ, **env})
    return [float(line.split()[1]) for line in said.splitlines() if line.startswith("PEER ")][1:]


def _done(command: list[str], cwd: Path, env: Any) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


@contextlib.contextmanager
def _running(command: list[str], env: dict[str, str], port: int) -> Iterator[None]:
    # It writes down that a request ended before its work did.
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{command[0]} does not listen on port {port}") from None
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


_WRITE = """
func write(t *testing.T, db *sql.DB) {
	for i := range 3 {
		for _, s := range []string{"INSERT INTO t%d (parent, name) VALUES (1, 'new')", "UPDATE t%d SET name = 'other' WHERE id = 3"} {
			if _, err := db.Exec(fmt.Sprintf(s, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
"""
_PGTESTDB = (
    """package peer

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/peterldowns/pgtestdb"
)

type migrator []byte

func (m migrator) Hash() (string, error) { return "baseline", nil }

func (m migrator) Migrate(ctx context.Context, db *sql.DB, _ pgtestdb.Config) error {
	_, err := db.ExecContext(ctx, string(m))
	return err
}

func TestPeer(t *testing.T) {
	text, err := os.ReadFile(os.Getenv("PEER_SCHEMA"))
	if err != nil {
		t.Fatal(err)
	}
	rounds, _ := strconv.Atoi(os.Getenv("PEER_ROUNDS"))
	conf := pgtestdb.Config{DriverName: "pgx", User: "postgres", Password: os.Getenv("PEER_PASSWORD"),
		Host: "127.0.0.1", Port: os.Getenv("PEER_PORT"), Options: "sslmode=disable"}
	for range rounds + 1 {
		t.Run("one", func(t *testing.T) {
			began := time.Now()
			db := pgtestdb.New(t, conf, migrator(text))
			fmt.Printf("\\nPEER %v\\n", time.Since(began).Seconds())
			write(t, db)
		})
	}
}
"""
    + _WRITE
)
_TESTCONTAINERS = (
    """package peer

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
	"github.com/testcontainers/testcontainers-go/wait"
)

func TestPeer(t *testing.T) {
	ctx := context.Background()
	container, err := postgres.Run(ctx, os.Getenv("PEER_IMAGE"), postgres.WithDatabase("test"), postgres.WithUsername("postgres"),
		postgres.WithPassword("peer"), postgres.WithInitScripts(os.Getenv("PEER_SCHEMA")), postgres.WithSQLDriver("pgx"),
		testcontainers.WithWaitStrategy(wait.ForLog("database system is ready to accept connections").WithOccurrence(2)))
	testcontainers.CleanupContainer(t, container)
	if err != nil {
		t.Fatal(err)
	}
	if err := container.Snapshot(ctx); err != nil {
		t.Fatal(err)
	}
	url, err := container.ConnectionString(ctx, "sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	rounds, _ := strconv.Atoi(os.Getenv("PEER_ROUNDS"))
	for range rounds + 1 {
		db, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		write(t, db)
		db.Close()
		began := time.Now()
		if err := container.Restore(ctx); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\\nPEER %v\\n", time.Since(began).Seconds())
	}
}
"""
    + _WRITE
)

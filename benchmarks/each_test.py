"""What a clean database costs each Go test, of whole sessions: ours, and what is usual in Go, in one run.

    python -m benchmarks.each_test [--tests 200] [--tables 300] [--dirty 3] [--rounds 5] [--peers]

One package of tests, each of which writes to --dirty of --tables tables, on an embedded PostgreSQL with its data in
memory, run in turn by

* no reset: `--gotest-isolate=gate --gotest-reset=none`, what all others are compared with;
* ours: `pytest --gotest` with `gotest_postgres_env`, and no other line;
* a process per test: `--gotest-isolate=test`, with the same reset;
* TRUNCATE in the Go code: no reset of ours, and each test truncates all tables in its clean-up;
* DELETE in the Go code: the same by hand, of just the tables that the test knows that it wrote to, without their sequences
  and without the rows that were there before;
* with --peers, pgtestdb and IntegreSQL, which give each test a database: what a test waits for one, by `benchmarks.peers`.

Milliseconds a test over no reset, of one round each: the median, the least and the most.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import measuring, peers, resets
from benchmarks.measuring import PYTEST, Sample

MODULE = """\
module example.com/each

go 1.22

require github.com/lib/pq v1.10.9
"""
SUMS = """\
github.com/lib/pq v1.10.9 h1:YXG7RB+JIjhP29X+OtkiDnYaXQwpS4JEWq7dtCCRUEw=
github.com/lib/pq v1.10.9/go.mod h1:AlVN5x4E4T544tWzH6hKfbfQvm3HdbOxrmggDNAPY9o=
"""
PACKAGE = """\
package each

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"

	_ "github.com/lib/pq"
)

const (
	tables = {tables}
	dirty  = {dirty}
)

var db, _ = sql.Open("postgres", os.Getenv("DATABASE_URL"))

func do(t *testing.T, statement string) {{
	if _, err := db.Exec(statement); err != nil {{
		t.Fatal(err)
	}}
}}

func cleanUp(t *testing.T) {{
	switch os.Getenv("CLEAN_UP") {{
	case "truncate":
		names := make([]string, tables)
		for i := range names {{
			names[i] = fmt.Sprint("t", i)
		}}
		do(t, "TRUNCATE "+strings.Join(names, ", ")+" RESTART IDENTITY CASCADE")
	case "delete":
		for i := dirty - 1; i >= 0; i-- {{
			do(t, fmt.Sprintf("DELETE FROM t%d WHERE name = 'new'", i))
		}}
	}}
}}

func write(t *testing.T) {{
	t.Cleanup(func() {{ cleanUp(t) }})
	for i := 0; i < dirty; i++ {{
		do(t, fmt.Sprintf("INSERT INTO t%d (name) VALUES ('new')", i))
		do(t, fmt.Sprintf("UPDATE t%d SET name = 'other' WHERE id = 3", i))
	}}
}}
"""
INI = """\
[pytest]
gotest = true
gotest_postgres = embedded
gotest_postgres_env = DATABASE_URL={url}
gotest_migrations = schema.sql
"""
BASE = "no reset"


def write(root: Path, tests: int, tables: int, dirty: int) -> None:
    text = PACKAGE.format(tables=tables, dirty=dirty)
    text += "".join(f"\nfunc Test{n:04}(t *testing.T) {{ write(t) }}\n" for n in range(tests))
    files = {"go.mod": MODULE, "go.sum": SUMS, "each_test.go": text, "pytest.ini": INI}
    for name, content in {**files, "schema.sql": resets.schema(tables)}.items():
        (root / name).write_text(content)


def session(root: Path, *options: str, **env: str) -> Sample:
    command = [*PYTEST, "-q", f"--gotest-cache-dir={root / '.cache'}", *options]
    return measuring.run(command, root, measuring.environment(**env))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--dirty", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(os.path.realpath(temporary))
        root.chmod(0o711)  # the account of servers of root passes here
        write(root, given.tests, given.tables, given.dirty)
        free = ("--gotest-isolate=gate", "--gotest-reset=none")
        ways: dict[str, Callable[[], Sample]] = {
            BASE: partial(session, root, *free),
            "ours": partial(session, root),
            "a process per test": partial(session, root, "--gotest-isolate=test"),
            "TRUNCATE in the Go code": partial(session, root, *free, CLEAN_UP="truncate"),
            "DELETE in the Go code, of what it knows": partial(
                session, root, *free, CLEAN_UP="delete"
            ),
        }
        for name, way in ways.items():
            measuring.expect_success(name, way())
        samples = measuring.interleaved(given.rounds, ways)
        rows = []
        for name, taken in samples.items():
            more = [
                1000 * (a.wall - b.wall) / given.tests
                for a, b in zip(taken, samples[BASE], strict=True)
            ]
            rows.append((name, *_shown(more)))
        if given.peers:
            rows += of_peers(root, given.tables, given.rounds * 4)
    print(f"{measuring.machine()}; {given.tests} tests, {given.rounds} rounds")
    print(f"{given.dirty} of {given.tables} tables written to by each test\n")
    print(measuring.table(("", "ms a test", "least", "most"), rows))


def of_peers(root: Path, tables: int, rounds: int) -> list[tuple[str, str, str, str]]:
    with resets.started("embedded", "memory", tables, root) as (cluster, _):
        server, schema = cluster.server(), root / f"{tables}.sql"
        found = {
            "pgtestdb": peers.pgtestdb(server, schema, rounds, root),
            "IntegreSQL": peers.integresql(server, schema, rounds, root, resets.write),
        }
    return [(name, *_shown([1000 * one for one in taken])) for name, taken in found.items()]


def _shown(milliseconds: list[float]) -> tuple[str, str, str]:
    found = (median(milliseconds), min(milliseconds), max(milliseconds))
    return f"{found[0]:.2f}", f"{found[1]:.2f}", f"{found[2]:.2f}"


if __name__ == "__main__":
    main()

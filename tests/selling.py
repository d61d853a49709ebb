"""A module whose Go tests use a database, and check that they find the baseline."""

from __future__ import annotations

import textwrap
from pathlib import Path

# Of a module that needs a driver, the smallest there is.
WITH_DRIVER = {
    "go.mod": "module example.com/shop\n\ngo 1.22\n\nrequire github.com/lib/pq v1.10.9\n",
    "go.sum": "github.com/lib/pq v1.10.9 h1:YXG7RB+JIjhP29X+OtkiDnYaXQwpS4JEWq7dtCCRUEw=\n"
    "github.com/lib/pq v1.10.9/go.mod h1:AlVN5x4E4T544tWzH6hKfbfQvm3HdbOxrmggDNAPY9o=\n",
}
MODULE = {
    **WITH_DRIVER,
    "migrations/1.sql": """
        CREATE TABLE users (id bigserial PRIMARY KEY, name text NOT NULL);
        INSERT INTO users (name) VALUES ('ada');
    """,
    "pytest.ini": """
        [pytest]
        gotest = true
        gotest_postgres_env = DATABASE_URL={url}
        gotest_migrations = migrations/*.sql
    """,
}
# MAIN is what TestMain does, NAMES the rows that each test finds; TESTS are the tests.
PACKAGE = """
    package shop

    import (
        "context"
        "database/sql"
        "fmt"
        "os"
        "strings"
        "testing"

        _ "github.com/lib/pq"
    )

    var db *sql.DB

    func TestMain(m *testing.M) {
        db, _ = sql.Open("postgres", os.Getenv("DATABASE_URL"))
        MAIN
        os.Exit(m.Run())
    }

    func do(statement string) {
        if _, err := db.Exec(statement); err != nil {
            panic(err)
        }
    }

    func insert(t *testing.T) {
        t.Helper()
        var names string
        var next int64
        db.QueryRow("SELECT string_agg(name, ' ' ORDER BY id) FROM users").Scan(&names)
        if names != "NAMES" {
            t.Fatalf("users: %s", names)
        }
        db.QueryRow("INSERT INTO users (name) VALUES ('left') RETURNING id").Scan(&next)
        if want := int64(len(strings.Fields(names)) + 1); next != want {
            t.Fatalf("id %d, want %d", next, want)
        }
    }

    var _ = context.Background
    var _ = fmt.Println
"""


def functions(*bodies: str) -> str:
    """TestA, TestB and so on."""
    return "".join(
        f"\nfunc Test{chr(65 + number)}(t *testing.T) {{ {body} }}\n"
        for number, body in enumerate(bodies)
    )


def package(*bodies: str, main: str = "", names: str = "ada", header: str = "") -> str:
    text = textwrap.dedent(PACKAGE).replace("MAIN", main).replace("NAMES", names)
    return header + text + functions(*bodies)


def write(root: Path, **files: str) -> None:
    """MODULE and these, ``__`` for each slash; of Go where a name has no suffix."""
    for name, text in {**MODULE, **files}.items():
        path = root / name.replace("__", "/")
        path = path if path.suffix else path.with_suffix(".go")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))

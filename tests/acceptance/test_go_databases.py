"""Every Go test starts from the baseline, in the one process of its package, with its connections open."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Outcome, run_pytest
from selling import package, write

Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, go_databases_cache: Path) -> Run:
    root = tmp_path / "shop"

    def one(*arguments: str, **files: str) -> Outcome:
        write(root, **files)
        return run_pytest(
            root,
            f"--gotest-cache-dir={go_databases_cache}",
            *arguments,
            plugins=["xdist"],
            record=tmp_path / "record",
        )

    return one


PARALLEL = "t.Parallel(); insert(t)"


@pytest.mark.parametrize(
    "options",
    [(), ("-n", "2"), ("--gotest-isolate=test",), ("--gotest-engine=gotest",)],
    ids=["one", "two", "a process each", "go test"],
)
def test_each_test_starts_from_the_baseline(run: Run, options: tuple[str, ...]) -> None:
    shop = package(*["insert(t)", "insert(t)", PARALLEL] * 4)
    outcome = run(*options, shop__shop_test=shop)
    assert outcome.exitstatus == 0, outcome.output
    assert len(outcome.items) == 12
    assert "12 of 12 tests wrote to the database" in outcome.output
    if not options:
        assert "12 Go tests in 1 process" in outcome.output
        assert "put back 12 by what was touched" in outcome.output


def test_what_the_ways_differ_in(run: Run) -> None:
    shop = package(*["insert(t)"] * 4)
    for way, failed in (("none", 3), ("truncate", 0), ("template", 0)):
        outcome = run(f"--gotest-reset={way}", shop__shop_test=shop)
        assert [*outcome.items.values()].count("failed") == failed, outcome.output
    outcome = run("--gotest-isolate=package", shop__shop_test=shop)
    assert [*outcome.items.values()].count("failed") == 3, outcome.output


MAIN = "do(`INSERT INTO users (name) VALUES ('main')`)"


@pytest.mark.parametrize("way", ["auto", "truncate", "template"])
def test_what_a_main_wrote_stays_for_the_tests_of_its_package(run: Run, way: str) -> None:
    """And for nobody else, in whatever order they come."""
    ours = package(*["insert(t)"] * 3, main=MAIN, names="ada main")
    python = """
        def test_python(gotest_db):
            assert [row["name"] for row in gotest_db.rows("users")] == ["ada"]
            gotest_db.execute("DELETE FROM users")
    """
    files = {
        "a__a_test": ours,
        "b__b_test": package(*["insert(t)"] * 3),
        "c__c_test": package(
            *["insert(t)"] * 3, main=MAIN.replace("main", "other"), names="ada other"
        ),
        "test_python.py": python,
    }
    names = [f"{one}/{one}_test.go::Test{letter}" for one in "abc" for letter in "ABC"]
    names.append("test_python.py")
    for seed in range(3 if way == "auto" else 1):
        random.Random(seed).shuffle(names)
        outcome = run(f"--gotest-reset={way}", *names, **files)
        assert outcome.exitstatus == 0, outcome.output
        assert len(outcome.items) == 10
    outcome = run(f"--gotest-reset={way}", "-n", "2", **files)
    assert outcome.exitstatus == 0, outcome.output


def test_a_main_that_migrates(run: Run) -> None:
    """What it made is known as the package's, and no test's."""
    main = "do(`CREATE TABLE orders (x int)`); do(`INSERT INTO orders VALUES (1)`)"
    body = """insert(t)
        var n int
        if err := db.QueryRow("SELECT count(*) FROM orders").Scan(&n); err != nil || n != 1 { t.Fatal(n, err) }
        do(`DELETE FROM orders`)"""
    files = {"a__a_test": package(*[body] * 3, main=main), "b__b_test": package("insert(t)")}
    outcome = run("-v", **files)
    assert outcome.exitstatus == 0, outcome.output
    assert "put back 4 by what was touched" in outcome.output
    assert "example.com/shop/a: a new database, for the schema changed" in outcome.output


@pytest.mark.parametrize("main", ["", MAIN])
def test_a_schema_that_a_test_changes_takes_a_new_process(run: Run, main: str) -> None:
    """Its pool has lost its connections."""
    names = "ada main" if main else "ada"
    change = "insert(t); do(`ALTER TABLE users ADD COLUMN age int`)"
    shop = package("insert(t)", change, "insert(t)", change, "insert(t)", main=main, names=names)
    outcome = run("-v", shop__shop_test=shop)
    assert outcome.exitstatus == 0, outcome.output
    assert "5 Go tests in 3 processes" in outcome.output
    assert outcome.output.count("a new database, for the schema changed") == 2


@pytest.mark.parametrize(
    ("main", "death"),
    [
        ("", "os.Exit(3)"),
        (MAIN, 'panic("now")'),
        (MAIN, "p, _ := os.FindProcess(os.Getpid()); p.Kill(); select {}"),
    ],
)
def test_after_a_crash_all_is_as_it_was(run: Run, main: str, death: str) -> None:
    names = "ada main" if main else "ada"
    dies = f"insert(t); {death}"
    shop = package("insert(t)", dies, "insert(t)", "insert(t)", dies, main=main, names=names)
    outcome = run(shop__shop_test=shop)
    verdicts = [outcome.items[f"shop/shop_test.go::Test{letter}"] for letter in "ABCDE"]
    assert verdicts == ["passed", "failed", "passed", "passed", "failed"], outcome.output


def test_a_main_that_fails_is_asked_once(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    main = f"""f, _ := os.OpenFile("{log}", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
        f.WriteString("began ")
        os.Exit(3)"""
    outcome = run(shop__shop_test=package(*["insert(t)"] * 4, main=main))
    assert [*outcome.items.values()] == ["error"] * 4, outcome.output
    assert log.read_text() == "began "


def test_a_main_that_leaves_a_transaction_open(run: Run) -> None:
    """One that reads, and a lock, are the package's own; one that writes cannot be part of any state."""
    reads = """tx, _ := db.Begin()
        tx.Exec("SELECT 1 FROM users")
        c, _ := db.Conn(context.Background())
        c.ExecContext(context.Background(), "SELECT pg_advisory_lock(4711)")"""
    outcome = run(shop__shop_test=package("insert(t)", "insert(t)", main=reads))
    assert outcome.exitstatus == 0, outcome.output
    assert " left a" not in outcome.output
    writes = 'tx, _ := db.Begin(); tx.Exec("DELETE FROM users")'
    outcome = run(shop__shop_test=package("insert(t)", main=writes))
    assert outcome.items == {"shop/shop_test.go::TestA": "error"}
    assert "somebody is writing: idle in transaction" in outcome.output
    assert "DELETE FROM users" in outcome.output


def test_each_run_of_a_test_starts_from_the_baseline(run: Run) -> None:
    change = "insert(t); do(`ALTER TABLE users ADD COLUMN age int`)"
    third = 'runs++; insert(t); if runs == 2 { t.Fatal("the second") }; t.Log("run", runs)'
    shop = package("insert(t)", change, third) + "\nvar runs int\n"
    outcome = run("--gotest-count=3", shop__shop_test=shop)
    assert [*outcome.items.values()] == ["passed", "passed", "failed"], outcome.output
    assert "the second" in outcome.texts["shop/shop_test.go::TestC"]
    assert "9 Go tests" not in outcome.output


def test_what_a_pool_keeps(run: Run) -> None:
    """Prepared statements, temporary tables, settings and LISTEN live in connections, which stay."""
    first = """
        c, _ := db.Conn(context.Background())
        for _, one := range []string{"PREPARE mine AS SELECT name FROM users", "CREATE TEMP TABLE notes (x int)",
            "INSERT INTO notes VALUES (1)", "SET application_name = 'mine'", "LISTEN news",
            "INSERT INTO users (name) VALUES ('gone')"} {
            if _, err := c.ExecContext(context.Background(), one); err != nil { t.Fatal(one, err) }
        }
        c.Close()"""
    second = """
        db.SetMaxOpenConns(1)
        var name, setting, channel string
        var notes int
        if err := db.QueryRow("EXECUTE mine").Scan(&name); err != nil || name != "ada" { t.Fatal(name, err) }
        if err := db.QueryRow("SELECT count(*) FROM notes").Scan(&notes); err != nil || notes != 1 { t.Fatal(notes, err) }
        if err := db.QueryRow("SELECT current_setting('application_name'), pg_listening_channels()").Scan(&setting, &channel);
            err != nil || setting != "mine" || channel != "news" { t.Fatal(setting, channel, err) }
        insert(t)"""
    outcome = run(shop__shop_test=package(first, second))
    assert outcome.exitstatus == 0, outcome.output


def test_transactions_and_locks_that_a_test_leaves(run: Run) -> None:
    leaves = """insert(t)
        tx, _ := db.Begin()
        if _, err := tx.Exec("DELETE FROM users"); err != nil { t.Fatal(err) }"""
    outcome = run(shop__shop_test=package(leaves, "insert(t)"))
    assert outcome.exitstatus == 0, outcome.output
    assert "shop/shop_test.go::TestA left a transaction open" in outcome.output


def test_who_puts_all_back_has_written(run: Run) -> None:
    """And so tells that it did not go without a database."""
    shop = package(
        "do(`CREATE TABLE kept (x int)`); do(`DROP TABLE kept`)",
        "do(`INSERT INTO users (id, name) VALUES (9, 'x')`); do(`DELETE FROM users WHERE id = 9`)",
        "_ = t",
        main="do(`SELECT 1`)",
    )
    outcome = run("--gotest-require-db", shop__shop_test=shop)
    assert outcome.exitstatus == 0, outcome.output
    assert "2 of 3 tests wrote to the database" in outcome.output


MEET = (
    "t.Parallel(); insert(t)",
    "t.Parallel(); meet <- 1; insert(t)",
    "insert(t)",
    "t.Parallel(); <-meet",
)
MEETING = package(*MEET).lstrip("\n") + "\nvar meet = make(chan int)\n"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one", "two"])
def test_tests_that_wait_for_each_other(run: Run, workers: tuple[str, ...]) -> None:
    """Who comes first finds nobody; they run beside each other then, and still from the baseline."""
    outcome = run(*workers, shop__shop_test=MEETING)
    assert outcome.exitstatus == 0, outcome.output
    assert len(outcome.items) == 4
    assert outcome.output.count(" for what another test has to do") == 1
    assert "TestB waits at " in outcome.output
    assert "it runs beside TestD, with nothing put back between them" in outcome.output
    number = MEETING[: MEETING.index("meet <- 1")].count("\n") + 1
    assert f"shop_test.go:{number} " in outcome.output


def test_a_test_that_waits_for_one_that_is_not_asked_for(run: Run) -> None:
    """Nothing is to be found out: it has its time, as by go test."""
    outcome = run("-k", "TestB or TestC", "--gotest-timeout=2", shop__shop_test=MEETING)
    assert outcome.exitstatus == 1, outcome.output
    assert "timed out after 2 s" in outcome.output
    assert "for what another test has to do" not in outcome.output


@pytest.mark.campaign
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one", "two"])
def test_two_hundred_tests_in_any_order(run: Run, workers: tuple[str, ...]) -> None:
    """A third of them parallel, some that leave something open, on a `TestMain` that writes; fifty times."""
    leaves = 'insert(t); tx, _ := db.Begin(); tx.Exec("DELETE FROM users")'
    kinds = ["insert(t)", PARALLEL, "insert(t); do(`TRUNCATE users`)", PARALLEL, "_ = t", leaves]
    shop = package(main=MAIN, names="ada main") + "".join(
        f"\nfunc Test{number}(t *testing.T) {{ {kinds[number % len(kinds)]} }}\n"
        for number in range(200)
    )
    for seed in range(50):
        outcome = run(f"--gotest-shuffle={seed}", *workers, shop__shop_test=shop)
        assert outcome.exitstatus == 0, (seed, outcome.output)
        assert len(outcome.items) == 200
    outcome = run("--gotest-reset=none", shop__shop_test=shop)
    assert [*outcome.items.values()].count("failed") > 150, outcome.output

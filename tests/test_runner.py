"""Which process runs a test, with what environment, and what is said of a package beside its tests."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from running import Outcome, run_pytest


class Module:
    def __init__(self, base: Path) -> None:
        self.root = base / "module"
        self.root.mkdir()
        self.record = base / "record"
        self.write("go.mod", "module example.com/m\n\ngo 1.22\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def go(self, name: str, imports: str, body: str) -> None:
        package = name.split("/")[0] if "/" in name else "m"
        lines = "\n".join(f'\t"{path}"' for path in (*imports.split(), "testing"))
        text = f"package {package}\n\nimport (\n{lines}\n)\n\n{textwrap.dedent(body)}"
        self.write(name, text)

    def run(self, *args: str, env: dict[str, str] | None = None, **more: object) -> Outcome:
        return run_pytest(self.root, *args, record=self.record, env=env, **more)  # type: ignore[arg-type]


@pytest.fixture
def module(tmp_path: Path) -> Module:
    return Module(tmp_path)


SEES = """
    func TestSees(t *testing.T) {
        if got := os.Getenv("DSN"); got != "test" {
            t.Errorf("DSN = %q", got)
        }
    }
"""
GIVES = """
    import pytest

    @pytest.fixture(scope="package")
    def gotest_env():
        return {"DSN": "test"}
"""


@pytest.mark.parametrize("isolate", ["auto", "gate", "package", "test"])
def test_gotest_env_wins_over_the_variable_that_pytest_has(module: Module, isolate: str) -> None:
    module.go("a/a_test.go", "os", SEES)
    module.go("b/b_test.go", "os", SEES)
    module.write("conftest.py", GIVES)
    outcome = module.run(f"--gotest-isolate={isolate}", env={"DSN": "shell"})
    assert outcome.items == {
        "a/a_test.go::TestSees": "passed",
        "b/b_test.go::TestSees": "passed",
    }, outcome.output


def test_a_variable_that_a_fixture_takes_away_is_gone_for_its_test_alone(module: Module) -> None:
    module.go(
        "a_test.go",
        "os",
        """
        //pytest:usefixtures without
        func TestWithout(t *testing.T) {
            if got, there := os.LookupEnv("DSN"); there {
                t.Errorf("DSN = %q", got)
            }
        }

        func TestWith(t *testing.T) {
            if os.Getenv("DSN") != "shell" {
                t.Error("it did not come back")
            }
        }
        """,
    )
    module.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def without(monkeypatch):
            monkeypatch.delenv("DSN")
        """,
    )
    outcome = module.run(env={"DSN": "shell"})
    assert set(outcome.items.values()) == {"passed"}, outcome.output


@pytest.mark.parametrize("isolate", ["auto", "gate"])
def test_a_package_failure_is_told_although_its_last_test_is_skipped(
    module: Module, isolate: str
) -> None:
    module.go(
        "a_test.go",
        "fmt os",
        """
        func TestMain(m *testing.M) {
            m.Run()
            fmt.Println("two goroutines left")
            os.Exit(3)
        }

        func TestA(t *testing.T) {}

        //pytest:skip reason="not today"
        func TestLast(t *testing.T) {}
        """,
    )
    outcome = module.run(f"--gotest-isolate={isolate}")
    assert outcome.exitstatus == 1, outcome.output
    assert "two goroutines left" in outcome.output
    assert outcome.items["a_test.go::TestA"] == "passed"


def test_a_test_that_had_not_begun_is_not_blamed_for_the_death_before_it(module: Module) -> None:
    module.go(
        "a_test.go",
        "time",
        """
        func TestLeaves(t *testing.T) {
            go func() {
                time.Sleep(50 * time.Millisecond)
                panic("late")
            }()
        }

        func TestNext(t *testing.T) {}
        func TestLast(t *testing.T) {}
        """,
    )
    module.write(
        "conftest.py",
        """
        import time
        import pytest

        @pytest.fixture(autouse=True)
        def slow():
            time.sleep(0.2)
        """,
    )
    outcome = module.run()
    verdicts = {node.partition("::")[2]: said for node, said in outcome.items.items()}
    assert verdicts == {"TestLeaves": "passed", "TestNext": "passed", "TestLast": "passed+error"}
    assert "between two tests, after TestLeaves" in outcome.output


def test_a_fuzz_target_runs_as_often_as_it_is_asked_to(module: Module) -> None:
    module.go(
        "a_test.go",
        "",
        """
        func FuzzX(f *testing.F) {
            f.Add(1)
            f.Fuzz(func(t *testing.T, n int) {})
        }
        """,
    )
    outcome = module.run("--gotest-count=70")
    assert outcome.items == {"a_test.go::FuzzX": "passed"}, outcome.output


@pytest.mark.parametrize("isolate", ["auto", "gate", "test"])
def test_two_processes_of_a_package_never_run_at_once(module: Module, isolate: str) -> None:
    module.go(
        "a_test.go",
        "os time",
        """
        func TestMain(m *testing.M) {
            file, err := os.OpenFile("lock", os.O_CREATE|os.O_EXCL, 0o600)
            if err != nil {
                panic(err)
            }
            code := m.Run()
            time.Sleep(100 * time.Millisecond)
            file.Close()
            os.Remove("lock")
            os.Exit(code)
        }

        //pytest:skipif False reason="never"
        func TestA(t *testing.T) {}
        func TestB(t *testing.T) {}

        //pytest:isolate
        func TestC(t *testing.T) {}
        func TestD(t *testing.T) {}
        """,
    )
    outcome = module.run(f"--gotest-isolate={isolate}")
    assert list(outcome.items.values()) == ["passed"] * 4, outcome.output


def test_a_late_failure_of_a_reported_test_is_not_lost(module: Module) -> None:
    module.go(
        "a_test.go",
        "fmt",
        r"""
        func TestA(t *testing.T) {
            t.Parallel()
            fmt.Print("\x16--- PASS: TestA (0.00s)\n\x16=== NAME  TestA\n")
            t.Error("in truth")
        }

        func TestB(t *testing.T) { t.Parallel() }
        """,
    )
    outcome = module.run()
    assert outcome.exitstatus == 1, outcome.output
    assert "in truth" in outcome.output


def test_a_test_keeps_its_verdict_when_its_process_does_not_end(module: Module) -> None:
    module.go(
        "a_test.go",
        "os time",
        """
        func TestMain(m *testing.M) {
            m.Run()
            time.Sleep(time.Hour)
            os.Exit(0)
        }

        func TestA(t *testing.T) {}
        """,
    )
    for engine in ("binary", "gotest"):
        outcome = module.run(f"--gotest-engine={engine}", "--gotest-timeout=2", timeout=60)
        assert outcome.items == {"a_test.go::TestA": "passed+error"}, outcome.output
        assert "did not end within 2 s of its last test" in outcome.output


def test_setup_only_runs_no_go_test(module: Module) -> None:
    module.go(
        "a_test.go",
        "os",
        'func TestA(t *testing.T) { os.WriteFile("ran", nil, 0o600) }\n',
    )
    module.run("--setup-only")
    assert not (module.root / "ran").exists()

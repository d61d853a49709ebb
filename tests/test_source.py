"""What _source says of Go test files, held against Go itself."""

from __future__ import annotations

import functools
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_gotest._errors import DirectiveError
from pytest_gotest._source import (
    Directive,
    DirectiveSet,
    Kind,
    MarkSpec,
    SourceFile,
    Subtest,
    from_dict,
    parse,
    parse_directives,
    rewrite,
    subtests,
    to_dict,
)

HERE = Path(__file__).parent


def go(*args: str, cwd: Path | None = None, stdin: str = "") -> str:
    done = subprocess.run(["go", *args], cwd=cwd, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@functools.cache
def goroot() -> Path:
    return Path(go("env", "GOROOT").strip())


@pytest.fixture(scope="session")
def golist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's own reading of test files as a program; see golist/main.go."""
    binary = tmp_path_factory.mktemp("golist") / "golist"
    go("build", "-o", str(binary), "main.go", cwd=HERE / "golist")
    return binary


def truth(golist: Path, paths: list[Path]) -> list[dict[str, Any]]:
    names = "".join(f"{path}\n" for path in paths)
    done = subprocess.run([golist], input=names, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def as_golist(path: Path) -> dict[str, Any]:
    """Our reading, in golist's form."""

    def doc(directives: tuple[Directive, ...]) -> list[str]:
        return [f"{d.line} {d.name} {d.args}".strip() for d in directives]

    file = parse(path.read_bytes())
    return {
        "path": str(path),
        "package": file.package,
        "doc": doc(file.directives),
        "functions": [
            {
                "name": f.name,
                "kind": f.kind.value,
                "line": f.line,
                "end_line": f.end_line,
                "parallel": f.parallel,
                "unordered": f.unordered,
                "order": f.order,
                "doc": doc(f.directives),
            }
            for f in file.functions
        ],
        "main": file.test_main.line if file.test_main else 0,
        "problems": [p.message for p in file.problems if p.kind == "signature"],
        "loose": [p.line for p in file.problems if p.kind == "directive"],
        "syntax": "",
    }


STD = [
    "strings",
    "sort",
    "bytes",
    "go/parser",
    "go/doc",
    "net/http",
    "encoding/json",
    "testing",
    "os",
    "fmt",
    "sync",
    "time",
    "slices",
    "unicode/utf8",
]


def std_files(*packages: str) -> list[Path]:
    files = [f for p in packages for f in sorted((goroot() / "src" / p).glob("*_test.go"))]
    assert files
    return files


# Against Go itself


def test_reads_std_as_go_does(golist: Path) -> None:
    files = std_files(*STD)
    assert len(files) > 200
    assert [as_golist(f) for f in files] == truth(golist, files)


@pytest.mark.parametrize("package", ["strings", "sort", "encoding/json", "unicode/utf8", "bytes"])
def test_names_what_the_test_binary_lists(package: str) -> None:
    internal = go("list", "-f", "{{range .TestGoFiles}}{{.}}\n{{end}}", package)
    external = go("list", "-f", "{{range .XTestGoFiles}}{{.}}\n{{end}}", package)
    listed = go("test", "-list", ".*", package).splitlines()[:-1]
    files = [
        parse((goroot() / "src" / package / n).read_bytes()) for n in (internal + external).split()
    ]
    kinds = [Kind.TEST, Kind.BENCHMARK, Kind.FUZZ, Kind.EXAMPLE]
    names = [f.name for kind in kinds for s in files for f in s.functions if f.kind is kind]
    assert names == listed


SNIPPETS = [
    "//pytest:mark slow",
    "\t//pytest:x y  ",
    "// doc\n//pytest:a",
    "/* c */",
    "",
    "//pytest:z 1 /*\n",
    "/* a\n b */ //pytest:q",
    "// Output: x",
    "//pytest:r\r",
    "/* x */ /* Output: */",
    "// Unordered output:",
    "//go:noinline",
]


def test_attaches_comments_as_go_does(golist: Path, tmp_path: Path) -> None:
    """Directives and output comments thrown into real files reach what go/parser says."""
    choose = random.Random(7)
    files = []
    for index, path in enumerate(std_files("strings", "sort", "container/heap", "fmt", "errors")):
        lines = path.read_text().split("\n")
        edges = [i for i, line in enumerate(lines) if line.startswith(("func", "package", "}"))]
        for _ in range(20):
            at = choose.choice(edges) if choose.random() < 0.6 else choose.randrange(len(lines))
            if choose.random() < 0.15 and not lines[at].strip().startswith("//"):
                lines[at] += " //pytest:trailing"
            else:
                lines.insert(at, choose.choice(SNIPPETS))
        file = tmp_path / f"f{index}_test.go"
        file.write_text("\n".join(lines), newline="")
        files.append(file)
    told = truth(golist, files)
    assert sum(len(t["loose"]) for t in told) > 50
    assert any(f["doc"] for t in told for f in t["functions"])
    assert [as_golist(f) for f in files] == told


@pytest.mark.parametrize(
    "above",
    [
        "//pytest:a\n/* c */ func one() {}\n",
        "func one() {} //pytest:a\n",
        "/* a\n b */ //pytest:a\n",
        "/* a */ /* b */ //pytest:a\n",
        "//pytest:a\n/*\n*/\n",
        "/*\n//pytest:a\n*/\n",
        "var s = `\n//pytest:a\n`\n",
        "var s = '\"' //pytest:a\n//pytest:b\n",
        "//pytest:a\n//go:noinline\n",
        "//pytest:a\n\t//pytest:\n",
        "// x //pytest:a\n",
    ],
)
def test_attaches_odd_comments_as_go_does(golist: Path, tmp_path: Path, above: str) -> None:
    file = tmp_path / "odd_test.go"
    file.write_text(f"{above.replace('func one() {}', '')}\npackage p\n{above}" + TEST_A)
    file.write_text(f"package p\n{above}{TEST_A}")
    told = truth(golist, [file])
    assert told[0]["syntax"] == ""
    assert [as_golist(file)] == told


TEST_A = "func TestA(t *testing.T) {\n}\n"

SIGNATURES = """
package /* the name is */ p

import (
	"testing"
	. "testing"
	other "testing"
)

func Test(t *testing.T)            {}
func TestA(*testing.T)             {}
func TestB(_ *testing.T)           {}
func TestC(t *T)                   {}
func TestD(t *other.T)             {}
func TestE(t *testing.T,)          {}
func TestF(t *testing.T) ()        {}
func TestG(t /* why */ *testing.T) {}
func Test_h(t *testing.T)          {}
func Test1(t *testing.T)           {}
func Testé(t *testing.T)           {}
func TestÉ(t *testing.T)           {}
func Testª(t *testing.T)           {}
func Testify(t *testing.T)         {}
func TestNoBody(t *testing.T)
func TestBadA(t testing.T)              {}
func TestBadB(t, u *testing.T)          {}
func TestBadC(t *testing.T, u int)      {}
func TestBadD(t *testing.T) error       { return nil }
func TestBadE(t (*testing.T))           {}
func TestBadF(t *(testing.T))           {}
func TestBadG(t *testing.B)             {}
func TestBadH()                         {}
func TestBadI[P any](t *testing.T)      {}
func TestBadJ(t ...*testing.T)          {}
func TestBadK(t **testing.T)            {}
func TestBadL(t *testing.T[int])        {}
func (s S) TestMethod(t *testing.T)     {}
func BenchmarkA(b *testing.B)           {}
func BenchmarkBad(t *testing.T)         {}
func FuzzA(f *testing.F)                {}
func FuzzBad(f *testing.T)              {}
func Fuzzy(f *testing.F)                {}
func ExampleNone()                      {}
func ExampleEmpty() {
	// Output:
}
func ExampleA() { /* Output: x */ }
func ExampleParameters(t int) {
	// Output:
}
func ExampleNotLast() {
	// Output: x

	// not the last comment
}
func ExampleUnordered() {
	{ // unORDERED outPUT: b
	}
}
func ExampleBehindCode() {
	f() // a
	// Output: x
}
func ExampleJoined() {
	// says
	// Output: x
}
func ExampleUnderDirective() {
	//go:generate x
	// Output: x
}
func ExampleString() {
	print("// Output: x")
}
func ExampleOutputInCode() { print("utput:") }
func TestMain(m *testing.M) {}
func TestMain(m *M) {}
"""


def test_reads_odd_signatures_as_go_does(golist: Path, tmp_path: Path) -> None:
    file = tmp_path / "odd_test.go"
    file.write_text(SIGNATURES)
    (told,) = truth(golist, [file])
    assert told["syntax"] == ""
    assert len(told["functions"]) >= 20
    assert len(told["problems"]) >= 10
    assert as_golist(file) == told


@pytest.mark.parametrize(
    "main",
    ["(t *testing.T)", "[P any](t *testing.T)", "(m *testing.M)", "(m testing.M)", "()"],
)
def test_main_is_a_test_only_with_a_T(golist: Path, tmp_path: Path, main: str) -> None:
    file = tmp_path / "main_test.go"
    file.write_text(f"package p\nfunc TestMain{main} {{}}\n")
    assert [as_golist(file)] == truth(golist, [file])


# One file


def names(source: str | bytes) -> list[str]:
    data = source if isinstance(source, bytes) else source.encode()
    return [function.name for function in parse(data).functions]


def test_functions_carry_lines_and_directives() -> None:
    file = parse(
        b"// License\n\n//pytest:mark db\npackage p_test\n\n"
        b"// Doc.\n//pytest:mark slow\n//pytest:timeout 5\nfunc TestA(t *testing.T) {\n}\n"
    )
    (test,) = file.functions
    assert file.package == "p_test"
    assert file.directives == (Directive("mark", "db", 3),)
    assert (test.line, test.end_line) == (9, 10)
    assert test.directives == (Directive("mark", "slow", 7), Directive("timeout", "5", 8))
    assert file.problems == ()


def test_detached_directives_are_problems() -> None:
    source = "\n".join(
        [
            "package p",
            "//pytest:mark detached",
            "",
            "func TestA(t *testing.T) {",
            "\t//pytest:mark inside",
            '\t_ = "//pytest:mark string"',
            "}",
            "//pytest:mark helper",
            "func helper() {}",
        ]
    )
    problems = parse(source.encode()).problems
    assert [problem.line for problem in problems] == [2, 5, 8]
    assert {problem.message for problem in problems} == {"directive is not attached to a test"}


@pytest.mark.parametrize(
    ("body", "parallel"),
    [
        ("t.Parallel()", True),
        ("if x {\n\t\tt.Parallel()\n\t}", True),
        ('s := "func"\n\tt.Parallel()', True),
        ("t.Run(name, func(t *testing.T) {\n\t\tt.Parallel()\n\t})", False),
        ("f := func() {}\n\tt.Parallel()", True),
        ("// t.Parallel()", False),
        ("s := `\n\tt.Parallel()`", False),
        ("x.Parallel()", False),
        ("t.Parallelism()", False),
        ("xt.Parallel()", False),
        ("tt.Parallel()\n\tt . Parallel ( )", True),
    ],
)
def test_parallel_is_the_functions_own_call(body: str, parallel: bool) -> None:
    (test,) = parse(f"package p\nfunc TestA(t *testing.T) {{\n\t{body}\n}}\n".encode()).functions
    assert test.parallel is parallel


def test_many_closures_are_told_apart() -> None:
    """tree-sitter gives captures in no order."""
    runs = "".join(f'\tt.Run("{i}", func(t *testing.T) {{ t.Parallel() }})\n' for i in range(3000))
    source = f"package p\nfunc TestA(t *testing.T) {{\n{runs}PARALLEL}}\n"
    for call, parallel in (("", False), ("\tt.Parallel()\n", True)):
        (test,) = parse(source.replace("PARALLEL", call).encode()).functions
        assert test.parallel is parallel


@pytest.mark.parametrize(
    ("body", "runs", "loops", "passed"),
    [
        ("os.Exit(m.Run())", 1, False, False),
        ("", 0, False, False),
        ("for range 2 { m.Run() }", 1, True, False),
        ("m.Run(); m.Run()", 2, False, False),
        ("goleak.VerifyTestMain(m)", 0, False, True),
        ("code := func() int { defer f(); return m.Run() }(); os.Exit(code)", 1, False, False),
    ],
)
def test_main_tells_how_often_tests_run(body: str, runs: int, loops: bool, passed: bool) -> None:
    main = parse(f"package p\nfunc TestMain(m *testing.M) {{ {body} }}\n".encode()).test_main
    assert main is not None
    assert (main.line, main.runs, main.loops, main.passed) == (2, runs, loops, passed)


def test_keeps_the_functions_around_a_syntax_error() -> None:
    file = parse(
        b"package p\nfunc TestA(t *testing.T) {\n\tif x {\n\n"
        b"func TestB(t *testing.T) {\n\tt.Parallel()\n}\n"
        b"var s = `\nfunc TestNo(t *testing.T) {}\n`\n"
    )
    assert [(f.name, f.line, f.end_line) for f in file.functions] == [
        ("TestA", 2, 2),
        ("TestB", 5, 7),
    ]
    assert file.functions[1].parallel
    assert [(p.kind, p.line) for p in file.problems] == [("syntax", 2)]


def test_new_of_an_expression_is_no_syntax_error() -> None:
    source = b"package p\nfunc TestA(t *testing.T) { _, _ = new(f(1)), new([]int) }\n"
    assert parse(source).problems == ()
    assert names(source) == ["TestA"]


TWO = "package p\n\n//pytest:mark x\nfunc TestA(t *testing.T) {\n}\nfunc TestB(t *testing.T) {}\n"


def test_line_ends_and_byte_order_mark_change_nothing() -> None:
    plain = parse(TWO.encode())
    assert parse(TWO.replace("\n", "\r\n").encode()) == plain
    assert parse(b"\xef\xbb\xbf" + TWO.encode()) == plain
    assert plain.problems == ()


@pytest.mark.parametrize(
    ("junk", "message"),
    [
        (b"// \xff", "illegal UTF-8 encoding"),
        (b"// \0", "illegal character NUL"),
        (b"// \xef\xbb\xbf", "illegal byte order mark"),
    ],
)
def test_bytes_that_go_refuses_are_problems(junk: bytes, message: str) -> None:
    file = parse(TWO.encode() + junk + b"\nfunc TestC(t *testing.T) {}\n")
    assert (message, 7) in [(problem.message, problem.line) for problem in file.problems]
    assert [function.name for function in file.functions] == ["TestA", "TestB", "TestC"]


@pytest.mark.parametrize(
    "deep",
    [
        "x := " + "(" * 10_000 + "1" + ")" * 10_000,
        "{" * 10_000 + "}" * 10_000,
        "x := " + "f(" * 10_000 + ")" * 10_000,
        "x := " + "1 + " * 10_000 + "1",
        "t.Run(name, func(t *testing.T) {" * 5_000 + "t.Parallel()" + "})" * 5_000,
        "{" * 10_000,
        "x := " + "([{" * 3_000,
    ],
    ids=["parens", "blocks", "calls", "sum", "closures", "open blocks", "open brackets"],
)
def test_deep_nesting(deep: str) -> None:
    source = f"package p\nfunc TestA(t *testing.T) {{\n{deep}\n}}\nfunc TestB(t *testing.T) {{}}\n"
    assert names(source) == ["TestA", "TestB"]
    assert subtests(source.encode(), "TestA") == ()


def test_a_file_of_five_megabytes() -> None:
    one = (goroot() / "src/strings/strings_test.go").read_bytes()
    tests = one[one.index(b"\nfunc Test") :]
    file = parse(one + tests * (5_000_000 // len(tests)))
    assert file.problems == ()
    assert len(file.functions) > 5000


def test_nothing_in_it() -> None:
    assert parse(b"").functions == ()
    assert [problem.message for problem in parse(b"").problems] == ["expected a package clause"]


# Anything at all

REAL = [
    (goroot() / "src" / name).read_bytes()
    for name in ("sort/example_interface_test.go", "errors/wrap_test.go", "flag/flag_test.go")
] + [SIGNATURES.encode()]
PIECES = st.sampled_from(
    [b"{", b"}", b"(", b")", b'"', b"`", b"'", b"/*", b"*/", b"//pytest:", b"\n", b"\0", b"\xff",
     b"func Test", b"t.Run(", b"package ", b"// Output:", b"\r\n", b"\xef\xbb\xbf", b"new("]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    source = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(source)))
        end = at + draw(st.integers(0, 200))
        piece = draw(PIECES | st.binary(max_size=20) | st.just(source[at:end]))
        source = source[:at] + piece + source[end if draw(st.booleans()) else at :]
    return source


def check_total(source: bytes) -> None:
    file = parse(source)
    last = source.count(b"\n") + 1
    for function in file.functions:
        assert 1 <= function.line <= function.end_line <= last
        assert all(isinstance(hint, Subtest) for hint in subtests(source, function.name))
    assert all(1 <= problem.line <= last for problem in file.problems)
    assert from_dict(json.loads(json.dumps(to_dict(file)))) == file


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_damaged_files_never_raise(source: bytes) -> None:
    check_total(source)


@settings(deadline=None, max_examples=150)
@given(st.lists(PIECES | st.binary(max_size=10)).map(b"".join))
@example(b"package p\nfunc TestA(t *testing.T) { t.Run(")
@example(b"/*/*/*" * 1000)
@example(b"`" * 1001)
def test_any_bytes_never_raise(source: bytes) -> None:
    check_total(source)


@settings(deadline=None)
@given(st.text(max_size=80), st.sampled_from(["mark", "skipif", "xfail", "timeout", "skip", "x"]))
@example("-" * 3990 + "1", "mark")
@example("(" * 300 + ")" * 300, "skipif")
@example("f(" + "-" * 3000 + "1)", "mark")
def test_directives_raise_nothing_but_their_error(args: str, name: str) -> None:
    caught = None
    try:
        parse_directives([Directive(name, args, 3)], path="a_test.go")
    except DirectiveError as error:
        caught = error
    if caught:
        assert (caught.path, caught.line) == ("a_test.go", 3)
        assert caught.hint


def test_from_dict_refuses_what_to_dict_did_not_make() -> None:
    good = to_dict(SourceFile("p"))
    assert from_dict(good) == SourceFile("p")
    odd = {"v": 0}, {"functions": [["TestA"]]}, {"main": [1]}, {"problems": 3}
    for bad in ({}, *({**good, **change} for change in odd)):
        with pytest.raises(ValueError, match="not a parsed Go test file"):
            from_dict(bad)


# Directives


def directive_set(*lines: str, file: tuple[str, ...] = ()) -> DirectiveSet:
    def read(texts: tuple[str, ...]) -> list[Directive]:
        parts = [text.partition(" ") for text in texts]
        return [Directive(name, args, line) for line, (name, _, args) in enumerate(parts, 1)]

    return parse_directives(read(lines), path="a_test.go", file=read(file))


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("mark slow", MarkSpec("slow")),
        ("mark flaky(reruns=2)", MarkSpec("flaky", (), {"reruns": 2})),
        ("mark tag('a', [1, -2])", MarkSpec("tag", ("a", [1, -2]))),
        ("skip", MarkSpec("skip")),
        ('skip reason="no \\"db\\""', MarkSpec("skip", (), {"reason": 'no "db"'})),
        ("skipif sys.platform == 'darwin'", MarkSpec("skipif", ("sys.platform == 'darwin'",))),
        (
            'skipif sys.platform == "darwin" reason="needs /proc"',
            MarkSpec("skipif", ('sys.platform == "darwin"',), {"reason": "needs /proc"}),
        ),
        ("xfail", MarkSpec("xfail")),
        ("xfail strict", MarkSpec("xfail", (), {"strict": True})),
        (
            'xfail os.name == "nt" reason="issue 12" strict',
            MarkSpec("xfail", ('os.name == "nt"',), {"reason": "issue 12", "strict": True}),
        ),
    ],
)
def test_directives_become_marks(text: str, mark: MarkSpec) -> None:
    assert directive_set(text) == DirectiveSet(marks=(mark,))


def test_function_directives_win_over_the_files() -> None:
    merged = directive_set(
        "mark near", "usefixtures b a", "timeout 2.5", "parallel",
        file=("mark wide", "usefixtures c b", "timeout 60", "isolate"),
    )  # fmt: skip
    assert merged == DirectiveSet(
        marks=(MarkSpec("near"), MarkSpec("wide")),
        usefixtures=("c", "b", "a"),
        timeout=2.5,
        isolate=False,
        parallel=True,
    )
    assert directive_set(file=("timeout 60", "isolate")) == DirectiveSet(timeout=60, isolate=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("marc slow", "did you mean mark?"),
        ("nonsense", "known directives: mark, usefixtures, skip, skipif, xfail, timeout, isolate"),
        ("mark", "no marker named"),
        ("mark a b", "is no Python expression"),
        ("mark a.b", "neither NAME nor NAME(literals)"),
        ("mark flaky(reruns=two)", "two is no literal"),
        ("mark f(**{})", "** cannot be used"),
        ("mark _private", "underscore"),
        ("mark parametrize('a', [1])", "cannot be parametrized"),
        ("mark usefixtures('db')", "//pytest:usefixtures NAME"),
        ("usefixtures", "no fixture named"),
        ("usefixtures a, b", "'a,' is no fixture name"),
        ("skip because", "cannot read 'because'"),
        ("skipif", "no condition"),
        ('skipif reason="x"', "no condition"),
        ("skipif a ==", "is no Python expression"),
        ("xfail a b", "is no Python expression"),
        ("timeout", "is no number of seconds"),
        ("timeout -1", "more than 0"),
        ("timeout inf", "more than 0"),
        ("isolate please", "takes nothing"),
        ("mark x('" + "y" * 5000 + "')", "longer than"),
    ],
)
def test_wrong_directives_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(DirectiveError) as caught:
        directive_set("mark fine", text)
    assert str(caught.value).startswith("a_test.go:2: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("lines", [("timeout 1", "timeout 2"), ("isolate", "parallel")])
def test_directives_of_one_block_must_agree(lines: tuple[str, str]) -> None:
    with pytest.raises(DirectiveError, match=r"a_test\.go:2"):
        directive_set(*lines)


# Subtests

NAMES = [
    "plain", "two words", "tab\there", "new\nline", "a/b", "", "", "plain", "plain", "plain#01",
    "#00", "x#01", "x", "x", "é日本", "\x00\x07\x08\x1b\x7f", "\u00a0\u2028\u3000", "\u200b\ufeff",
    "\U000e0001", "\u0085", "quote\"'`", "back\\slash", "😀", "\u0378", "a#1", "a#001", "a", "a",
]  # fmt: skip

SUBTESTS = """package p

import (
	"fmt"
	"testing"
)

type pair struct {
	name string
	n    int
}

const prefix = "pre"

var global = []pair{{"g one", 1}, {n: 2, name: "g2"}}

func TestTables(t *testing.T) {
	tests := []struct {
		name, in string
		want     int
	}{
		{name: "keyed"},
		{"placed", "in", 3},
		{
			in:   "x",
			name: "same",
		},
		{name: "same"},
	}
	for _, tt := range tests {
		tt := tt
		t.Run(tt.name, func(t *testing.T) {
			t.Run("in ner", func(t *testing.T) {})
		})
	}
	for i := range tests {
		t.Run(tests[i].name+"!", func(t *testing.T) {})
	}
	for _, g := range global {
		t.Run(fmt.Sprintf("%s-%d", g.name, g.n), func(*testing.T) {})
	}
	for _, p := range []*pair{{"p", 1}, {name: "q"}} {
		t.Run(p.name, func(t *testing.T) {})
	}
	for name := range map[string]bool{"only": true} {
		t.Run(name, func(t *testing.T) {})
	}
	for _, s := range [...]string{"s", `r\\aw`} {
		t.Run(prefix+"/"+s, helper)
	}
	for i := range 2 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {})
	}
	if t.Run("literal", func(t *testing.T) {}) {
		all(t, []pair{{"h", 1}})
	}
}

func helper(tb *testing.T) { tb.Run("deep", func(t *testing.T) {}) }

func all(x *testing.T, pairs []pair) {
	for _, p := range pairs {
		x.Run(p.name, func(t *testing.T) {})
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{
NAMES
	} {
		t.Run(name, func(t *testing.T) {})
	}
}

func FuzzF(f *testing.F) {
	f.Add("a")
	for _, s := range []string{"b", "c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {})
}
"""


def quoted(name: str) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in name.encode()) + '"'


def test_hints_are_the_names_that_go_reports(tmp_path: Path) -> None:
    source = SUBTESTS.replace("NAMES", "".join(f"\t\t{quoted(name)},\n" for name in NAMES))
    (tmp_path / "go.mod").write_text("module example.com/p\n\ngo 1.22\n")
    (tmp_path / "p_test.go").write_text(source)
    events = map(json.loads, go("test", "-json", "-vet=off", cwd=tmp_path).splitlines())
    ran = [e["Test"] for e in events if e["Action"] == "run" and "/" in e["Test"]]
    # The names made by fmt.Sprint are beyond a hint.
    ran = [name for name in ran if name not in ("TestTables/0", "TestTables/1")]
    hints = [
        f"{test}/{hint.name}"
        for test in ("TestTables", "TestNames", "FuzzF")
        for hint in subtests(source.encode(), test)
    ]
    assert len(hints) > 50
    assert hints == ran


@pytest.mark.parametrize("rune", ["\x00", "\a", "\x7f", "\u00a0", "\u200b", "\U000e0001", "é"])
def test_rewrite_is_stable(rune: str) -> None:
    assert rewrite(rewrite(rune)) == rewrite(rune)


def test_rows_are_found_at_their_own_line() -> None:
    lines = SUBTESTS.splitlines()
    for hint in subtests(SUBTESTS.replace("NAMES", "").encode(), "TestTables"):
        if hint.name in ("keyed", "placed", "g_one-1", "p", "only", "in_ner"):
            assert f'"{hint.name.replace("_", " ").removesuffix("-1")}"' in lines[hint.line - 1]


def test_testify_suites_across_files() -> None:
    source = b"""package p
type MySuite struct {
	suite.Suite
	base
}
func (s *MySuite) TestB() { s.Run("sub case", func() {}) }
func (s *MySuite) helper() {}
func TestMine(t *testing.T) { suite.Run(t, new(MySuite)) }
func TestAgain(t *testing.T) {
	s := &MySuite{}
	suite.Run(t, s)
}
"""
    other = b"package p\nfunc (s MySuite) TestA() {}\ntype base struct{}\nfunc (*base) TestC() {}\n"
    expected = ["TestA", "TestB", "TestB/sub_case", "TestC"]
    for test in ("TestMine", "TestAgain"):
        assert [hint.name for hint in subtests(source, test, [other])] == expected
    assert [hint.name for hint in subtests(source, "TestMine")] == ["TestB", "TestB/sub_case"]


@pytest.mark.parametrize(
    "body",
    [
        "t.Run(unknown(), func(t *testing.T) {})",
        "for _, tt := range load() { t.Run(tt.name, nil) }",
        "for i := 0; i < 3; i++ { t.Run(names[i], nil) }",
        "name, err := load(); t.Run(name, nil)",
        "x.Run(`other`, nil)",
        "t.Add(`no seed`)",
        "t.Run(`too`, `many`, nil)",
        "TestA(t)\n}\nvar a = b\nvar b = a\nfunc TestB(t *testing.T) { t.Run(a, nil)",
    ],
)
def test_what_the_text_does_not_tell_is_left_out(body: str) -> None:
    source = f"package p\nfunc TestA(t *testing.T) {{ {body} }}\n".encode()
    assert subtests(source, "TestA") == ()
    assert subtests(source, "TestB") == ()
    assert subtests(source, "TestNone") == ()


def test_endless_work_is_cut_off() -> None:
    source = b"""package p
func TestA(t *testing.T) {
	s := "x"
	DOUBLES
	for i := range 1000000 { for j := range 1000000 { t.Run(s, nil) } }
	TestA(t)
	TestA(t)
}
""".replace(b"DOUBLES", b"s = s + s\n\t" * 500)
    assert len(subtests(source, "TestA")) < 50_000

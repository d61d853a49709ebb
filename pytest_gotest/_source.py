"""What one Go test file declares, by the rules of cmd/go; must not know files, pytest or go.

The rules are those of cmd/go/internal/load/test.go and go/doc/example.go, equal in Go 1.22
to 1.27. cmd/go looks at syntax alone: ``*T`` and ``*anything.T`` are both a test's parameter,
whatever the file imports.
"""

from __future__ import annotations

import bisect
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tree_sitter import Node

from pytest_gotest import _go_syntax as go
from pytest_gotest._directives import (
    Directive,
    DirectiveSet,
    MarkSpec,
    parse_directives,
)
from pytest_gotest._subtest_hints import Subtest, rewrite, subtests

__all__ = [
    "Directive",
    "DirectiveSet",
    "Kind",
    "MarkSpec",
    "Problem",
    "SourceFile",
    "Subtest",
    "TestFunction",
    "TestMain",
    "from_dict",
    "parse",
    "parse_directives",
    "rewrite",
    "subtests",
    "to_dict",
]


class Kind(str, Enum):
    """What cmd/go takes a function for."""

    TEST = "test"
    EXAMPLE = "example"
    FUZZ = "fuzz"
    BENCHMARK = "benchmark"


@dataclass(frozen=True, slots=True)
class TestFunction:
    """A function that ``go test`` can run.

    Lines are 1-based; ``line`` is that of ``func``. ``parallel``: the function's own body,
    no closure in it, calls ``Parallel`` on its parameter. For examples ``order`` is the
    position among the file's examples and ``unordered`` says that the lines of the output
    may come in any order.
    """

    __test__ = False

    name: str
    kind: Kind
    line: int
    end_line: int
    directives: tuple[Directive, ...] = ()
    parallel: bool = False
    unordered: bool = False
    order: int = 0


@dataclass(frozen=True, slots=True)
class TestMain:
    """A ``TestMain(m *testing.M)``.

    ``runs`` counts the ``m.Run()`` calls in its text, ``loops`` says that one stands in a
    loop, ``passed`` that ``m`` is used otherwise, so that somebody else may run the tests.
    """

    __test__ = False

    line: int
    runs: int
    loops: bool
    passed: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a 1-based line.

    ``kind`` is "signature" (cmd/go refuses the package), "directive" (a ``//pytest:`` comment
    that reaches no test) or "syntax". The last one is a hint: tree-sitter's grammar refuses
    some valid Go (1 of 1753 test files of Go 1.26), so the compiler has the last word.
    """

    message: str
    line: int
    kind: str = "syntax"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One ``_test.go`` file; ``directives`` are those right above ``package``."""

    package: str
    functions: tuple[TestFunction, ...] = ()
    directives: tuple[Directive, ...] = ()
    test_main: TestMain | None = None
    problems: tuple[Problem, ...] = ()


_FUNCTION = go.kind("function_declaration")
_PACKAGE = go.kind("package_clause")
_NAME, _TYPE, _BODY = go.field("name"), go.field("type"), go.field("body")
_PARAMETERS, _RESULT = go.field("parameters"), go.field("result")
_TYPE_PARAMETERS = go.field("type_parameters")

_IDENTIFIER = rb"[A-Za-z_\x80-\xff][\w\x80-\xff]*"
_CANDIDATE = re.compile(rb"(Test|Example|Fuzz|Benchmark)")
_FUNC_NAME = re.compile(rb"func[ \t]+(" + _IDENTIFIER + rb")")
# The usual spelling of a signature, which needs no look at the tree.
_USUAL = re.compile(
    rb"(?:\((?:(" + _IDENTIFIER + rb") )?\*(?:" + _IDENTIFIER + rb"\.)?([TBFM])\)|(\(\))) (?=\{)"
)
_PREFIXES = (("Test", Kind.TEST), ("Benchmark", Kind.BENCHMARK), ("Fuzz", Kind.FUZZ))
_ARGUMENT = {Kind.TEST: "T", Kind.BENCHMARK: "B", Kind.FUZZ: "F"}
_TOP_LEVEL_FUNC = re.compile(rb"^func[ \t]", re.MULTILINE)
_PACKAGE_CLAUSE = re.compile(rb"^[ \t]*package[ \t]+(" + _IDENTIFIER + rb")", re.MULTILINE)
_OUTPUT = re.compile(rb"\s*(unordered )?output:", re.IGNORECASE)
_GO_DIRECTIVE = re.compile(rb"//(?:line |extern |export |[a-z0-9]+:[a-z0-9])")
_DIRECTIVE = re.compile(rb"//pytest:(\S*)\s*(.*?)\s*\Z", re.DOTALL)
_LITERAL_OR_CLOSURE = re.compile(rb"[\"'`/]|func")


@dataclass(slots=True)
class _Found:
    """A function of the file before it is judged; offsets are in bytes of the source."""

    node: Node
    source: bytes  # what the node's offsets refer to
    line: int
    end_line: int


def parse(source: bytes) -> SourceFile:
    """Read one ``_test.go`` file. Never raises: what is wrong is in ``problems``."""
    if source.startswith(go.BOM):
        source = source[len(go.BOM) :]
    root = go.tree(source)
    return _Reader(source, root).read()


class _Reader:
    def __init__(self, source: bytes, root: Node) -> None:
        self.source = source
        self.root = root
        self.functions: list[TestFunction] = []
        self.problems: list[Problem] = []
        self.test_main: TestMain | None = None
        self.examples = 0
        self.docs: dict[int, tuple[Directive, ...]] = {}  # by the line below the block

    def read(self) -> SourceFile:
        source = self.source
        package, package_line = "", 0
        found = []
        for node in self.root.children:
            kind = node.kind_id
            if kind == _FUNCTION:
                found.append(node)
            elif kind == _PACKAGE and not package:
                package_line = node.start_point[0] + 1
                package = next((go.text(source, name) for name in _named(node)), "")
        functions: Iterable[_Found] = (
            _Found(node, source, node.start_point[0] + 1, node.end_point[0] + 1) for node in found
        )
        if self.root.has_error or not package:
            self._syntax_problem()
            functions = self._recover(list(functions))
            if not package and (clause := _PACKAGE_CLAUSE.search(source)):
                package = clause[1].decode("utf-8", "replace")
                package_line = source.count(b"\n", 0, clause.start(1)) + 1
            if not package:
                self.problems.append(Problem("expected a package clause", 1))
        self._text_problems()
        attached: set[int] = set()
        if b"//pytest:" in source:
            self.docs = _lead_directives(source)
            attached.add(package_line)
        for function in functions:
            if self._judge(function):
                attached.add(function.line)
        if self.docs:
            self._detached(attached)
        return SourceFile(
            package,
            tuple(self.functions),
            self.docs.get(package_line, ()),
            self.test_main,
            tuple(sorted(self.problems, key=lambda problem: problem.line)),
        )

    def _judge(self, found: _Found) -> bool:
        """Add the function if it is a test; False if directives on it reach nothing."""
        node, source = found.node, found.source
        start = node.start_byte
        match = _FUNC_NAME.match(source, start)
        if match:
            raw = match[1]
            after = match.end()
        else:
            name_node = node.child_by_field_id(_NAME)
            if name_node is None:
                return False
            raw = source[name_node.start_byte : name_node.end_byte]
            after = name_node.end_byte
        if not _CANDIDATE.match(raw):
            return False
        name = raw.decode("utf-8", "replace")
        usual = _USUAL.match(source, after)
        if name == "TestMain" and not _accepts(node, source, usual, "T"):
            return self._main(found, usual)
        kind = next((kind for prefix, kind in _PREFIXES if is_test(name, prefix)), None)
        if kind is None:
            return is_test(name, "Example") and self._example(found, name, usual)
        if why := self._wrong(found, name, usual, _ARGUMENT[kind]):
            self.problems.append(why)
            return False
        parameter = usual[1] if usual else _parameter_name(node, source)
        parallel = parameter is not None and _calls_parallel(node, source, parameter)
        self._add(found, name, kind, parallel=parallel)
        return True

    def _add(
        self,
        found: _Found,
        name: str,
        kind: Kind,
        *,
        parallel: bool = False,
        unordered: bool = False,
        order: int = 0,
    ) -> None:
        self.functions.append(
            TestFunction(
                name,
                kind,
                found.line,
                found.end_line,
                self.docs.get(found.line, ()) if self.docs else (),
                parallel,
                unordered,
                order,
            )
        )

    def _wrong(
        self, found: _Found, name: str, usual: re.Match[bytes] | None, argument: str
    ) -> Problem | None:
        why = ""
        if not _accepts(found.node, found.source, usual, argument):
            why = f"must be: func {name}({argument.lower()} *testing.{argument})"
        # TestMain(t *testing.T) is a test to cmd/go without a look at type parameters.
        generic = not usual and found.node.child_by_field_id(_TYPE_PARAMETERS) is not None
        if generic and not (name == "TestMain" and argument == "T"):
            why = "test functions cannot have type parameters"
        if not why:
            return None
        return Problem(f"wrong signature for {name}, {why}", found.line, "signature")

    def _main(self, found: _Found, usual: re.Match[bytes] | None) -> bool:
        if why := self._wrong(found, "TestMain", usual, "M"):
            self.problems.append(why)
        elif self.test_main is not None:
            self.problems.append(
                Problem("multiple definitions of TestMain", found.line, "signature")
            )
        else:
            node, source = found.node, found.source
            parameter = usual[1] if usual else _parameter_name(node, source)
            self.test_main = _read_main(found, parameter)
        return False

    def _example(self, found: _Found, name: str, usual: re.Match[bytes] | None) -> bool:
        node, source = found.node, found.source
        if usual:
            if usual[3] is None:
                return False
            start = usual.end()
        else:
            parameters = node.child_by_field_id(_PARAMETERS)
            result = node.child_by_field_id(_RESULT)
            body = node.child_by_field_id(_BODY)
            if parameters is None or _declarations(parameters) or body is None:
                return False
            if result is not None and not _empty_list(result):
                return False
            start = body.start_byte
        order = self.examples
        self.examples += 1
        output = _example_output(source, start, node.end_byte)
        if output is None:
            return False
        self._add(found, name, Kind.EXAMPLE, unordered=output, order=order)
        return True

    def _detached(self, attached: set[int]) -> None:
        reached = {
            directive.line
            for line, directives in self.docs.items()
            if line in attached
            for directive in directives
        }
        for directives in self.docs.values():
            self.problems.extend(
                Problem("directive is not attached to a test", directive.line, "directive")
                for directive in directives
                if directive.line not in reached
            )

    def _syntax_problem(self) -> None:
        """Say where the tree first goes wrong, without recursion over a deep one."""
        if not self.root.has_error:
            return
        cursor = self.root.walk()
        missing = ""
        while True:
            node = cursor.node
            assert node is not None
            if node.is_missing:
                missing = node.type
                break
            if (node.is_error and node is not self.root) or not cursor.goto_first_child():
                break
            while (node := cursor.node) and not (node.has_error or node.is_missing):
                if not cursor.goto_next_sibling():
                    break
        place = cursor.node or self.root
        row = place.start_point[0]
        message = f"syntax error: missing {missing}" if missing else "syntax error"
        line = self.source[place.start_byte :].split(b"\n", 1)[0].strip()[:60]
        if line:
            message += f" near {line.decode('utf-8', 'replace')!r}"
        self.problems.append(Problem(message, row + 1))

    def _text_problems(self) -> None:
        """Bytes that go/scanner refuses wherever they stand."""
        source = self.source
        at = source.find(b"\0")
        if at >= 0:
            line = source.count(b"\n", 0, at) + 1
            self.problems.append(Problem("illegal character NUL", line))
        at = source.find(go.BOM)
        if at >= 0:
            line = source.count(b"\n", 0, at) + 1
            self.problems.append(Problem("illegal byte order mark", line))
        try:
            source.decode("utf-8")
        except UnicodeDecodeError as error:
            line = source.count(b"\n", 0, error.start) + 1
            self.problems.append(Problem("illegal UTF-8 encoding", line))

    def _recover(self, known: list[_Found]) -> list[_Found]:
        """The functions of a file with errors, each read on its own.

        An error may swallow what follows it. Functions of formatted code start at the first
        column, so every such start is read apart, without its body if need be.
        """
        source = self.source
        starts = list(_outside_literals(source))
        by_start = {found.node.start_byte: found for found in known}
        line, position = 1, 0
        for start, end in itertools.pairwise([*starts, len(source)]):
            line += source.count(b"\n", position, start)
            position = start
            if start in by_start:
                continue
            match = _FUNC_NAME.match(source, start)
            if not match or not _CANDIDATE.match(match[1]):
                continue
            whole = source[start:end]
            header = whole.split(b"\n", 1)[0].rstrip()
            header = header[: header.find(b"{")] if b"{" in header else header
            for chunk in (whole, header + b"{}"):
                nodes = [node for node in go.tree(chunk).children if node.kind_id == _FUNCTION]
                if nodes and nodes[0].start_byte == 0 and nodes[0].child_by_field_id(_NAME):
                    end_line = line + whole.rstrip().count(b"\n")
                    if chunk is whole:
                        end_line = line + nodes[0].end_point[0]
                    by_start[start] = _Found(nodes[0], chunk, line, end_line)
                    break
        return [by_start[start] for start in sorted(by_start)]


def is_test(name: str, prefix: str) -> bool:
    """cmd/go's isTest: the prefix, then nothing or a rune that is no lower-case letter."""
    if not name.startswith(prefix):
        return False
    rest = name[len(prefix) :]
    # unicode.IsLower is category Ll; str.islower also takes letters such as U+00AA.
    return not rest or unicodedata.category(rest[0]) != "Ll"


def _named(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _declarations(parameters: Node) -> list[Node]:
    return [child for child in _named(parameters) if not child.is_error]


def _empty_list(result: Node) -> bool:
    return result.type == "parameter_list" and not _declarations(result)


def _accepts(node: Node, source: bytes, usual: re.Match[bytes] | None, argument: str) -> bool:
    """cmd/go's isTestFunc."""
    if usual:
        return usual[2] == argument.encode()
    result = node.child_by_field_id(_RESULT)
    if result is not None and not _empty_list(result):
        return False
    parameters = node.child_by_field_id(_PARAMETERS)
    if parameters is None:
        return False
    declarations = _declarations(parameters)
    if len(declarations) != 1 or declarations[0].type != "parameter_declaration":
        return False
    if len(declarations[0].children_by_field_id(_NAME)) > 1:
        return False
    pointer = declarations[0].child_by_field_id(_TYPE)
    if pointer is None or pointer.type != "pointer_type":
        return False
    pointed = _named(pointer)
    if len(pointed) != 1:
        return False
    target: Node | None = pointed[0]
    if target is not None and target.type == "qualified_type":
        target = target.child_by_field_id(_NAME)
    return (
        target is not None
        and target.type == "type_identifier"
        and source[target.start_byte : target.end_byte] == argument.encode()
    )


def _parameter_name(node: Node, source: bytes) -> bytes | None:
    parameters = node.child_by_field_id(_PARAMETERS)
    declarations = _declarations(parameters) if parameters else []
    name = declarations[0].child_by_field_id(_NAME) if declarations else None
    return source[name.start_byte : name.end_byte] if name else None


def _calls_parallel(node: Node, source: bytes, parameter: bytes) -> bool:
    start, end = node.start_byte, node.end_byte
    if source.find(b"Parallel", start, end) < 0:
        return False
    # The usual first statement of a test needs no look at the tree.
    call = b"\t" + parameter + b".Parallel()"
    at = source.find(call, start, end)
    if at >= 0:
        body = source.find(b"{", start, at)
        if body >= 0 and not _LITERAL_OR_CLOSURE.search(source, body, at):
            return True
    calls = list(_method_calls(node, source, parameter, b"Parallel"))
    closures = _Regions(go.nodes("(func_literal) @it", node)) if calls else ()
    return any(call not in closures for call in calls)


def _method_calls(node: Node, source: bytes, receiver: bytes, method: bytes) -> Iterator[int]:
    """Where ``receiver.method(...)`` stands."""
    for on, name in go.method_calls(node):
        if (
            source[on.start_byte : on.end_byte] == receiver
            and source[name.start_byte : name.end_byte] == method
        ):
            yield on.start_byte


class _Regions:
    """Parts of the source; nodes come in source order, and inner ones add nothing."""

    def __init__(self, nodes: list[Node]) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        for node in nodes:
            if not self.ends or node.start_byte >= self.ends[-1]:
                self.starts.append(node.start_byte)
                self.ends.append(node.end_byte)

    def __contains__(self, at: int) -> bool:
        index = bisect.bisect_right(self.starts, at) - 1
        return index >= 0 and at < self.ends[index]


def _read_main(found: _Found, parameter: bytes | None) -> TestMain:
    node, source = found.node, found.source
    body = node.child_by_field_id(_BODY)
    if parameter is None or body is None:
        return TestMain(found.line, 0, False)
    runs = list(_method_calls(body, source, parameter, b"Run"))
    loops = _Regions(go.nodes("(for_statement) @it", body))
    uses = [
        use
        for use in go.nodes("(identifier) @it", body)
        if source[use.start_byte : use.end_byte] == parameter
    ]
    return TestMain(found.line, len(runs), any(run in loops for run in runs), len(uses) > len(runs))


def _example_output(source: bytes, start: int, end: int) -> bool | None:
    """Whether the example's output is unordered; None if it has no output comment.

    go/doc's exampleOutput: the last comment group of the body decides, and an empty output
    counts as one.
    """
    if source.find(b"utput:", start, end) < 0 and not _OUTPUT.search(source, start, end):
        return None
    groups = list(go.comment_groups(source, start, end))
    match = _OUTPUT.match(_comment_text(groups[-1])) if groups else None
    return match[1] is not None if match else None


def _comment_text(group: go.CommentGroup) -> bytes:
    """ast.CommentGroup.Text, but for blank lines, which no rule here depends on."""
    lines = []
    for comment in group.comments:
        found = comment.text.replace(b"\r", b"")
        if found.startswith(b"/*"):
            lines.append(found[2:-2])
        elif not _GO_DIRECTIVE.match(found):
            lines.append(found[3:] if found[2:3] == b" " else found[2:])
    return b"\n".join(lines)


def _directives(group: go.CommentGroup) -> tuple[Directive, ...]:
    return tuple(
        Directive(
            match[1].decode("utf-8", "replace"), match[2].decode("utf-8", "replace"), comment.line
        )
        for comment in group.comments
        if (match := _DIRECTIVE.match(comment.text))
    )


def _lead_directives(source: bytes) -> dict[int, tuple[Directive, ...]]:
    """Directives by the line that their block is the doc comment of.

    Beside code they are no doc comment: filed under lines below 0, which no function has.
    """
    docs: dict[int, tuple[Directive, ...]] = {}
    nowhere = -1
    for group in go.comment_groups(source):
        directives = _directives(group)
        if not directives:
            continue
        line = group.end_line + 1
        end = source.find(b"\n", group.end)
        beside = source[group.end : end if end >= 0 else len(source)]
        if group.trailing or beside.strip():
            line = nowhere
            nowhere -= 1
        docs[line] = directives
    return docs


def _outside_literals(source: bytes) -> Iterator[int]:
    """Starts of the lines that begin with ``func`` in no comment and no string."""
    spans = iter(go.literal_spans(source))
    end = 0
    span: tuple[int, int] | None = next(spans, None)
    for match in _TOP_LEVEL_FUNC.finditer(source):
        while span and span[0] < match.start():
            end = span[1]
            span = next(spans, None)
        if match.start() >= end:
            yield match.start()


_FORMAT = 1


def to_dict(file: SourceFile) -> dict[str, Any]:
    """A small JSON-able form of ``file``, for a cache."""
    return {
        "v": _FORMAT,
        "package": file.package,
        "functions": [
            [
                f.name,
                f.kind.value,
                f.line,
                f.end_line,
                [[d.name, d.args, d.line] for d in f.directives],
                f.parallel,
                f.unordered,
                f.order,
            ]
            for f in file.functions
        ],
        "directives": [[d.name, d.args, d.line] for d in file.directives],
        "main": (m := file.test_main) and [m.line, m.runs, m.loops, m.passed],
        "problems": [[p.message, p.line, p.kind] for p in file.problems],
    }


def from_dict(data: dict[str, Any]) -> SourceFile:
    """The inverse of ``to_dict``; ValueError for anything that it did not make."""
    try:
        if data["v"] != _FORMAT:
            raise ValueError(f"format {data['v']!r}")
        return SourceFile(
            data["package"],
            tuple(
                TestFunction(
                    name,
                    _KINDS[kind],
                    line,
                    end_line,
                    tuple(Directive(*d) for d in directives) if directives else (),
                    parallel,
                    unordered,
                    order,
                )
                for name, kind, line, end_line, directives, parallel, unordered, order in data[
                    "functions"
                ]
            ),
            tuple(Directive(*d) for d in data["directives"]),
            TestMain(*data["main"]) if data["main"] else None,
            tuple(Problem(*p) for p in data["problems"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a parsed Go test file: {error!r}") from error


_KINDS = {kind.value: kind for kind in Kind}

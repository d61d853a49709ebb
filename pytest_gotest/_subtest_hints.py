"""Names of subtests as far as the text of a test tells them; must not know pytest or files.

A small interpreter walks the test in the order it would run: it knows strings, integers,
struct, slice and map literals, loops over them, and calls of functions of the same file. What
it does not know it leaves out, so that every hint is likely to be real, and none is certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from tree_sitter import Node

from pytest_gotest import _go_syntax as go


@dataclass(frozen=True, slots=True)
class Subtest:
    """A subtest's name below its test, as Go reports it, and the 1-based line it comes from."""

    name: str
    line: int


_SPACES = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
    + "".join(map(chr, range(0x2000, 0x200B)))
)
_ESCAPES = {"\a": r"\a", "\b": r"\b"}


def rewrite(name: str) -> str:
    """testing's rewrite (src/testing/match.go): ``_`` for space, escapes for unprintables."""
    if name.isascii() and name.isprintable() and " " not in name:
        return name
    return "".join(_rewrite_rune(rune) for rune in name)


def _rewrite_rune(rune: str) -> str:
    if rune in _SPACES:
        return "_"
    code = ord(rune)
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    if rune.isprintable():
        return rune
    if rune in _ESCAPES:
        return _ESCAPES[rune]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def subtests(source: bytes, name: str, others: Iterable[bytes] = ()) -> tuple[Subtest, ...]:
    """Hints for the subtests of the test or fuzz target ``name``, in the order they would run.

    Understood are ``t.Run`` with a name that the text tells, table tests over slices, arrays
    and maps of literals, nested runs ("a/b"), helpers of the same file, ``f.Add`` ("seed#0")
    and testify's ``suite.Run``, whose methods may stand in ``others``, the package's other
    files. Names are as testing reports them. May be incomplete; never raises.
    """
    return tuple(_Reader([source, *others]).read(name))


_DEPTH = 60  # nested nodes and calls that are followed
_BUDGET = 50_000  # nodes visited for one test
_ROWS = 10_000  # of one table
_LONGEST = 10_000  # characters of a name put together

_NUMBER = re.compile(r"\A(.*)#(0[0-9]|[1-9][0-9]+)\Z", re.DOTALL)
_VERB = re.compile(r"%[svdq%]")


class _Text(str):
    """A known string and the line its literal stands on."""

    __slots__ = ("line",)
    line: int

    @classmethod
    def at(cls, value: str, line: int) -> _Text:
        text = cls(value)
        text.line = line
        return text


@dataclass(slots=True)
class _Struct:
    type: str
    fields: dict[str, _Value] = field(default_factory=dict)


_Rows: TypeAlias = "list[tuple[_Value, _Value]]"
_Value: TypeAlias = Union[_Text, int, _Struct, "_Rows", None]
_Env: TypeAlias = "dict[str, _Value]"


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the walk is: the subtest's full name, and what ``t`` is called there."""

    test: str
    parameter: str
    depth: int

    def deeper(self) -> _Frame:
        return _Frame(self.test, self.parameter, self.depth + 1)


class _Reader:
    def __init__(self, sources: list[bytes]) -> None:
        self.functions: dict[str, Node] = {}
        self.methods: dict[str, dict[str, Node]] = {}
        self.types: dict[str, Node] = {}
        self.globals: dict[str, Node] = {}
        self.known: _Env = {}
        self.count: dict[str, int] = {}
        self.found: list[Subtest] = []
        self.seeds = 0
        self.budget = _BUDGET
        for index, source in enumerate(sources):
            if source.startswith(go.BOM):
                source = source[len(go.BOM) :]
            # The other files of a package matter for the methods of its suites.
            if index == 0 or b"Test" in source:
                self._declare(go.tree(source))

    def _declare(self, root: Node) -> None:
        for node in root.children:
            if node.type == "function_declaration":
                self.functions.setdefault(_name(node), node)
            elif node.type == "method_declaration":
                if receiver := _receiver_type(node):
                    self.methods.setdefault(receiver, {}).setdefault(_name(node), node)
            elif node.type in ("var_declaration", "const_declaration"):
                for names, values in _specs(node):
                    for name, value in zip(names, values, strict=False):
                        self.globals.setdefault(name, value)
        for spec in go.nodes("(type_spec) @it", root):
            if target := spec.child_by_field_name("type"):
                self.types.setdefault(_name(spec), target)

    def read(self, name: str) -> Iterator[Subtest]:
        node = self.functions.get(name)
        if node is not None:
            self._enter(node, {}, _Frame(name, _first_parameter(node) or "_", 0))
        yield from self.found

    def _enter(self, function: Node, env: _Env, frame: _Frame) -> None:
        body = function.child_by_field_name("body")
        if body is not None:
            self._walk(body, dict(env), frame.deeper())

    # What runs

    def _walk(self, node: Node, env: _Env, frame: _Frame) -> None:
        self.budget -= 1
        if self.budget < 0 or frame.depth > _DEPTH:
            return
        kind = node.type
        if kind in ("short_var_declaration", "assignment_statement"):
            self._assign(node, env, frame.depth)
        elif kind in ("var_declaration", "const_declaration"):
            for names, values in _specs(node):
                for index, name in enumerate(names):
                    value = values[index] if index < len(values) else None
                    env[name] = value and self._value(value, env, frame.depth)
        elif kind == "for_statement":
            self._loop(node, env, frame)
            return
        elif kind == "call_expression" and self._call(node, env, frame):
            return
        if kind in ("block", "func_literal", "if_statement"):
            env = dict(env)
        if kind == "func_literal":
            frame = _Frame(frame.test, _first_parameter(node) or frame.parameter, frame.depth)
        inner = frame.deeper()
        for child in node.named_children:
            if child.type in _NAMING or b"(" in (child.text or b""):
                self._walk(child, env, inner)

    def _assign(self, node: Node, env: _Env, depth: int) -> None:
        left = node.child_by_field_name("left")
        right = node.child_by_field_name("right")
        if left is None or right is None:
            return
        names, values = left.named_children, right.named_children
        known = [self._value(value, env, depth) for value in values]
        plain = len(names) == len(values) and b"=" in _operator(node)
        for index, name in enumerate(names):
            if name.type == "identifier":
                env[_text(name)] = known[index] if plain else None

    def _loop(self, node: Node, env: _Env, frame: _Frame) -> None:
        body = node.child_by_field_name("body")
        if body is None:
            return
        clause = next((c for c in node.named_children if c.type != "block"), None)
        env = dict(env)
        names: list[str] = []
        rows: _Value = None
        if clause is not None and clause.type == "range_clause":
            left = clause.child_by_field_name("left")
            right = clause.child_by_field_name("right")
            names = [_text(name) for name in left.named_children] if left else []
            rows = self._value(right, env, frame.depth) if right else None
        elif clause is not None:
            for name in go.nodes("(identifier) @it", clause):
                env[_text(name)] = None
        if isinstance(rows, int):
            rows = [(number, None) for number in range(min(rows, _ROWS))]
        if not isinstance(rows, list):
            rows = [(None, None)]
        for row in rows:
            scope = dict(env)
            scope.update(zip(names, row, strict=False))
            self._walk(body, scope, frame.deeper())

    def _call(self, node: Node, env: _Env, frame: _Frame) -> bool:
        """Follow a call that runs subtests; False if its parts are to be looked at instead."""
        function = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        if function is None or arguments is None:
            return False
        given = [child for child in arguments.named_children if child.type != "comment"]
        if function.type == "identifier":
            return self._helper(_text(function), given, env, frame)
        if function.type != "selector_expression":
            return False
        operand = function.child_by_field_name("operand")
        method = function.child_by_field_name("field")
        on = _text(operand) if operand is not None and operand.type == "identifier" else ""
        called = _text(method) if method is not None else ""
        if on == frame.parameter and called == "Run" and len(given) == 2:
            self._run(node, given, env, frame)
            return True
        fuzz = frame.test.startswith("Fuzz") and "/" not in frame.test
        if on == frame.parameter and called == "Add" and fuzz:
            self._emit(frame.test, f"seed#{self.seeds}", _line(node))
            self.seeds += 1
            return True
        testify = (on, called) == ("suite", "Run") and len(given) == 2
        if testify and _text(given[0]) == frame.parameter:
            suite = self._value(given[1], env, frame.depth)
            if isinstance(suite, _Struct):
                self._suite(suite.type, frame)
            return True
        return False

    def _run(self, node: Node, given: list[Node], env: _Env, frame: _Frame) -> None:
        name = self._value(given[0], env, frame.depth)
        if not isinstance(name, str):
            return
        literal = given[0].type.endswith("string_literal")
        line = _line(node) if literal else name.line
        test = self._emit(frame.test, name, line)
        body: Node | None = given[1]
        if body is not None and body.type == "identifier":
            body = self.functions.get(_text(body))
            env = {}
        if body is not None and body.type in ("func_literal", "function_declaration"):
            parameter = _first_parameter(body) or frame.parameter
            self._enter(body, env, _Frame(test, parameter, frame.depth))

    def _helper(self, name: str, given: list[Node], env: _Env, frame: _Frame) -> bool:
        function = self.functions.get(name)
        if function is None:
            return False
        scope: _Env = {}
        parameter = ""
        for formal, argument in zip(_parameters(function), given, strict=False):
            if argument.type == "identifier" and _text(argument) == frame.parameter:
                parameter = formal
            else:
                scope[formal] = self._value(argument, env, frame.depth)
        if not parameter:
            return False
        self._enter(function, scope, _Frame(frame.test, parameter, frame.depth))
        return True

    def _suite(self, name: str, frame: _Frame) -> None:
        methods = self._suite_methods(name, set())
        # testify goes through reflect's methods, which are sorted by name.
        for method in sorted(methods):
            if not method.startswith("Test"):
                continue
            node = methods[method]
            test = self._emit(frame.test, method, _line(node))
            receiver = node.child_by_field_name("receiver")
            parameter = _first_name(receiver) or "_"
            self._enter(node, {}, _Frame(test, parameter, frame.depth))

    def _suite_methods(self, name: str, seen: set[str]) -> dict[str, Node]:
        if name in seen or len(seen) > _DEPTH:
            return {}
        seen.add(name)
        methods: dict[str, Node] = {}
        target = self.types.get(name)
        if target is not None and target.type == "struct_type":
            for member, embedded in _fields(target):
                if embedded:
                    methods.update(self._suite_methods(member, seen))
        methods.update(self.methods.get(name, {}))
        return methods

    def _emit(self, parent: str, name: str, line: int) -> str:
        test = self._unique(f"{parent}/{rewrite(name)}", empty=not name)
        self.found.append(Subtest(test.split("/", 1)[1], line))
        return test

    def _unique(self, base: str, *, empty: bool) -> str:
        """matcher.unique of src/testing/match.go: #01 on the second of a name, and so on."""
        while True:
            count = self.count.get(base, 0)
            self.count[base] = count + 1
            if count == 0 and not empty:
                match = _NUMBER.match(base)
                if match and not (match[2] == "00" and not match[1].endswith("/")):
                    number = int(match[2])
                    if number < 2**31 and number < self.count.get(match[1], 0):
                        continue
                return base
            name = f"{base}#{count:02d}"
            if not self.count.get(name, 0):
                return name

    # What is known

    def _value(self, node: Node, env: _Env, depth: int) -> _Value:
        self.budget -= 1
        if self.budget < 0 or depth > _DEPTH:
            return None
        depth += 1
        match node.type:
            case "interpreted_string_literal" | "raw_string_literal":
                text = go.unquote(node.text or b"")
                return None if text is None else _Text.at(text, _line(node))
            case "int_literal":
                return _integer(_text(node))
            case "identifier":
                return self._named(_text(node), env, depth)
            case "parenthesized_expression" | "literal_element" | "expression_list":
                only = node.named_children
                return self._value(only[0], env, depth) if len(only) == 1 else None
            case "unary_expression":
                operand = node.child_by_field_name("operand")
                address = (node.text or b"").startswith(b"&")
                return self._value(operand, env, depth) if operand and address else None
            case "binary_expression":
                return self._sum(node, env, depth)
            case "selector_expression":
                operand = node.child_by_field_name("operand")
                member = node.child_by_field_name("field")
                struct = self._value(operand, env, depth) if operand else None
                if isinstance(struct, _Struct) and member is not None:
                    return struct.fields.get(_text(member))
            case "index_expression":
                return self._item(node, env, depth)
            case "composite_literal":
                target = node.child_by_field_name("type")
                body = node.child_by_field_name("body")
                return self._composite(target, body, env, depth) if body else None
            case "call_expression":
                return self._result(node, env, depth)
        return None

    def _named(self, name: str, env: _Env, depth: int) -> _Value:
        if name in env:
            return env[name]
        if name not in self.known:
            self.known[name] = None  # a cycle ends here
            node = self.globals.get(name)
            if node is not None:
                self.known[name] = self._value(node, {}, depth)
        return self.known[name]

    def _sum(self, node: Node, env: _Env, depth: int) -> _Value:
        left = node.child_by_field_name("left")
        right = node.child_by_field_name("right")
        if left is None or right is None or _operator(node) != b"+":
            return None
        one, two = self._value(left, env, depth), self._value(right, env, depth)
        if isinstance(one, _Text) and isinstance(two, _Text):
            line = two.line if left.type.endswith("string_literal") else one.line
            return _Text.at(str(one) + str(two), line) if len(one) + len(two) < _LONGEST else None
        if isinstance(one, int) and isinstance(two, int):
            return one + two
        return None

    def _item(self, node: Node, env: _Env, depth: int) -> _Value:
        operand = node.child_by_field_name("operand")
        index = node.child_by_field_name("index")
        if operand is None or index is None:
            return None
        rows = self._value(operand, env, depth)
        wanted = self._value(index, env, depth)
        if not isinstance(rows, list) or not isinstance(wanted, (int, str)):
            return None
        if isinstance(wanted, int) and wanted < len(rows) and rows[wanted][0] == wanted:
            return rows[wanted][1]
        return next((value for key, value in rows if key == wanted), None)

    def _result(self, node: Node, env: _Env, depth: int) -> _Value:
        function = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        if function is None or arguments is None:
            return None
        given = arguments.named_children
        called = _text(function)
        if called in ("new", "neW") and len(given) == 1:  # see _go_syntax.tree
            return _Struct(_text(given[0]))
        if called == "string" and len(given) == 1:
            value = self._value(given[0], env, depth)
            return value if isinstance(value, _Text) else None
        if called == "append" and given:
            rows = self._value(given[0], env, depth)
            if isinstance(rows, list) and all(g.type != "variadic_argument" for g in given):
                more = [self._value(item, env, depth) for item in given[1:]]
                return rows + list(enumerate(more, len(rows)))
        if called == "fmt.Sprintf" and given:
            return self._format([self._value(item, env, depth) for item in given])
        return None

    def _format(self, values: list[_Value]) -> _Value:
        pattern, *rest = values
        if not isinstance(pattern, _Text):
            return None
        verbs = [verb for verb in _VERB.findall(pattern) if verb != "%%"]
        if pattern.count("%") != len(verbs) + 2 * pattern.count("%%") or len(verbs) != len(rest):
            return None
        for verb, value in zip(verbs, rest, strict=True):
            fits = _Text if verb == "%s" else int if verb == "%d" else (_Text, int)
            if verb == "%q" or not isinstance(value, fits):
                return None
        given = iter(rest)
        filled = _VERB.sub(lambda m: "%" if m[0] == "%%" else str(next(given)), pattern)
        line = next((value.line for value in rest if isinstance(value, _Text)), pattern.line)
        return _Text.at(filled, line) if len(filled) < _LONGEST else None

    def _composite(self, target: Node | None, body: Node, env: _Env, depth: int) -> _Value:
        self.budget -= 1
        if self.budget < 0 or depth > _DEPTH:
            return None
        name = _text(target) if target is not None else ""
        for _ in range(_DEPTH):
            if target is None:
                break
            if target.type == "pointer_type":
                target = target.named_children[0] if target.named_children else None
                name = _text(target) if target is not None else ""
            elif target.type == "generic_type":
                target = target.child_by_field_name("type")
                name = _text(target) if target is not None else ""
            elif target.type == "type_identifier" and _text(target) in self.types:
                target = self.types[_text(target)]
            else:
                break
        kind = target.type if target is not None else ""
        elements = [child for child in body.named_children if child.type != "comment"]
        if kind in ("slice_type", "array_type", "implicit_length_array_type", "map_type"):
            assert target is not None
            of = target.child_by_field_name("value" if kind == "map_type" else "element")
            rows: list[tuple[_Value, _Value]] = []
            for index, element in enumerate(elements[:_ROWS]):
                label, value = _pair(element)
                key = self._value(label, env, depth + 1) if label else index
                rows.append((key, self._element(value, of, env, depth + 1)))
            return rows
        struct = _Struct(name)
        names = [n for n, _ in _fields(target)] if target and kind == "struct_type" else []
        for index, element in enumerate(elements):
            label, value = _pair(element)
            member = _text(label) if label else names[index] if index < len(names) else ""
            if member:
                struct.fields[member] = self._element(value, None, env, depth + 1)
        return struct

    def _element(self, node: Node | None, of: Node | None, env: _Env, depth: int) -> _Value:
        if node is not None and node.type == "literal_element" and node.named_child_count:
            node = node.named_children[0]
        if node is None:
            return None
        if node.type == "literal_value":
            return self._composite(of, node, env, depth)
        return self._value(node, env, depth)


_NAMING = frozenset(
    ("short_var_declaration", "assignment_statement", "var_declaration", "const_declaration")
)


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _name(node: Node) -> str:
    name = node.child_by_field_name("name")
    return _text(name) if name is not None else ""


def _line(node: Node) -> int:
    return node.start_point[0] + 1


def _operator(node: Node) -> bytes:
    operator = node.child_by_field_name("operator")
    # A short variable declaration has no operator field.
    return (operator.text or b"") if operator is not None else b":="


def _integer(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _parameters(function: Node) -> list[str]:
    """The names of a function's parameters; "" for an anonymous one."""
    names: list[str] = []
    parameters = function.child_by_field_name("parameters")
    for declaration in parameters.named_children if parameters is not None else []:
        if declaration.type == "parameter_declaration":
            declared = declaration.children_by_field_name("name")
            names.extend([_text(name) for name in declared] or [""])
    return names


def _first_parameter(function: Node) -> str:
    return next(iter(_parameters(function)), "")


def _first_name(receiver: Node | None) -> str:
    for declaration in receiver.named_children if receiver is not None else []:
        return _name(declaration)
    return ""


def _receiver_type(method: Node) -> str:
    receiver = method.child_by_field_name("receiver")
    for declaration in receiver.named_children if receiver is not None else []:
        found = go.nodes("(type_identifier) @it", declaration)
        return _text(found[0]) if found else ""
    return ""


def _specs(declaration: Node) -> Iterator[tuple[list[str], list[Node]]]:
    """Names and values of each line of a var or const declaration."""
    for spec in go.nodes("[(var_spec) (const_spec)] @it", declaration):
        names = [_text(name) for name in spec.children_by_field_name("name") if name.is_named]
        value = spec.child_by_field_name("value")
        yield names, value.named_children if value is not None else []


def _fields(struct: Node) -> Iterator[tuple[str, bool]]:
    """A struct's fields in order, and whether each is embedded."""
    for fields in struct.named_children:
        for declaration in fields.named_children:
            if declaration.type != "field_declaration":
                continue
            names = declaration.children_by_field_name("name")
            for name in names:
                yield _text(name), False
            target = declaration.child_by_field_name("type")
            if not names and target is not None:
                yield re.split(r"[.*\s]", _text(target).split("[")[0])[-1], True


def _pair(element: Node) -> tuple[Node | None, Node | None]:
    """The key, if there is one, and the value of an element of a composite literal."""
    if element.type != "keyed_element":
        return None, element
    key = element.child_by_field_name("key")
    value = element.child_by_field_name("value")
    if key is not None and key.type == "literal_element" and key.named_child_count:
        key = key.named_children[0]
    return key, value

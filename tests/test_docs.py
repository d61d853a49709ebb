"""The documentation: its examples are run, its links followed, its reference held to the code.

On a page, a fence with ``title=PATH`` writes that file into the page's own directory, which begins
empty (an example's README: with a copy of the example), and a ``console`` fence runs what stands
behind ``$ `` there, in order. Below a command comes what it prints: a line of three dots stands for
any lines, three dots within a line for any text. A fence of another kind (``text``, ``sh``,
``yaml``) is only read. ``<!-- needs: cc -->`` on a page names a program that it cannot run without.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from pytest_gotest import _directives, _settings, plugin
from pytest_gotest._options import OPTIONS, Option

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = sorted(ROOT.glob("examples/*/README.md"))
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), *EXAMPLES]

_FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_NEEDS = re.compile(r"<!-- needs: (?P<program>\S+) -->")
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
# What a slow machine says in between, and xdist on its way.
_SLOW = re.compile(r"gotest: .* \(\d+ s\)$")
_KINDS = {"console", "go", "ini", "python", "sh", "text", "toml", "yaml"}


@dataclass(frozen=True)
class Fence:
    """A fenced block: ``info`` is what stands behind the ticks, ``line`` that of the ticks."""

    info: str
    line: int
    body: str

    @property
    def kind(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def title(self) -> str:
        return self.info.partition("title=")[2].strip()


def fences(text: str) -> Iterator[Fence]:
    """The blocks of a page. Raises ValueError for one that is not closed."""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not (opening := _FENCE.match(line)):
            continue
        body = []
        for _, inner in lines:
            if inner == opening["ticks"]:
                break
            body.append(inner)
        else:
            raise ValueError(f"the fence in line {number} is not closed")
        yield Fence(opening["info"].strip(), number, "".join(f"{part}\n" for part in body))


def commands(fence: Fence) -> Iterator[tuple[str, str]]:
    """Each command of a console block, with what it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for line in fence.body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif not found:
            raise ValueError(f"the console block in line {fence.line} begins without a command")
        elif not found[-1][1] and found[-1][0].endswith("\\"):
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        else:
            found[-1][1].append(line)
    for command, printed in found:
        yield command, "\n".join(printed)


def pattern(expected: str) -> re.Pattern[str]:
    """What a page shows, as an expression for what was printed. Rules may be of any length."""
    said = []
    for line in expected.strip("\n").splitlines():
        if line.strip() == "...":
            said.append(r"(?:.*\n)*?")
            continue
        text = ".*?".join(re.escape(part) for part in line.rstrip().split("..."))
        said.append(re.sub(r"(?:(?:=|_|\\-){4,})", lambda rule: rf"{rule[0][-1]}+", text) + r"\n")
    return re.compile("".join(said))


def printed(text: str) -> str:
    lines = (line.rstrip() for line in text.strip("\n").splitlines())
    return "".join(f"{line}\n" for line in lines if not _SLOW.match(line))


def environment(home: Path) -> dict[str, str]:
    """That of a reader who has this plugin and xdist, and a terminal of 80 columns."""
    ours = {"gotest", "xdist", "xdist.looponfail"}
    others = {point.name for point in entry_points(group="pytest11")} - ours
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {
        **environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}",
        "COLUMNS": "80",
        "PYTEST_ADDOPTS": " ".join(f"-p no:{name}" for name in sorted(others)),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "",
        "TMPDIR": str(home),
    }


def run(command: str, directory: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=120,
    )
    return printed(done.stdout)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _runs(page: Path) -> bool:
    return any(fence.kind == "console" for fence in fences(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", [page for page in PAGES if _runs(page)], ids=_name)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for needed in _NEEDS.finditer(text):
        if shutil.which(needed["program"]) is None:
            pytest.skip(f"the page needs {needed['program']}, which is not on PATH")
    directory = tmp_path / "shop"
    if page in EXAMPLES:
        shutil.copytree(page.parent, directory, ignore=shutil.ignore_patterns(".*"))
    else:
        directory.mkdir()
    home = tmp_path / "tmp"
    home.mkdir()
    environ = environment(home)
    for fence in fences(text):
        if fence.title:
            file = directory / fence.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(fence.body, encoding="utf-8")
        elif fence.kind == "console":
            for command, expected in commands(fence):
                said = run(command, directory, environ)
                assert pattern(expected).fullmatch(said), (
                    f"{_name(page)}:{fence.line}: $ {command}\n"
                    f"--- the page says\n{expected}\n--- it printed\n{said}"
                )


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_fences_are_closed_and_of_a_known_kind(page: Path) -> None:
    for fence in fences(page.read_text(encoding="utf-8")):
        assert fence.kind in _KINDS, f"{_name(page)}:{fence.line}: {fence.info!r}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=_name)
def test_links_resolve(page: Path) -> None:
    for link in _LINK.finditer(_prose(page)):
        target, _, anchor = link["target"].partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{_name(page)} links to {target}"
        if anchor:
            assert anchor in set(_anchors(file)), f"{_name(page)} links to {link['target']}"


def _prose(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    for fence in fences(text):
        text = text.replace(fence.body, "", 1)
    return text


def _anchors(page: Path) -> Iterator[str]:
    """As forges make them of headings."""
    for heading in _HEADING.finditer(_prose(page)):
        plain = re.sub(r"[^\w\- ]", "", heading["text"].lower())
        yield plain.strip().replace(" ", "-")


def test_every_page_is_reached_from_the_index() -> None:
    index = _prose(DOCS / "README.md")
    listed = {(DOCS / link["target"]).resolve() for link in _LINK.finditer(index)}
    assert {page for page in PAGES if page.is_relative_to(DOCS)} - listed == {DOCS / "README.md"}


# The reference


def _sections(page: Path) -> dict[str, str]:
    """Second-level headings with what stands below them."""
    _, *parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {head.strip(): body for head, _, body in (part.partition("\n") for part in parts)}


def _facts(option: Option) -> str:
    """The line below an option's heading."""
    ini = "command line only" if option.cli else f"ini `{option.ini}`"
    values = {
        "flag": "a switch",
        "list": "a list, repeatable",
        "choice": " or ".join(f"`{choice}`" for choice in option.choices),
        "text": "one value",
        "optional": "a switch, or one value",
    }[option.kind]
    default = {"flag": "off", "list": "empty", "optional": "off"}.get(
        option.kind, f"`{option.default}`"
    )
    if not option.default and option.kind == "text":
        default = "none" if option.cli else "see below"
    return f"*{ini} · {values} · default: {default}*"


def _heading(option: Option) -> str:
    if option.kind == "optional":
        return f"`{option.flag}[={option.metavar}]`"
    return f"`{option.flag} {option.metavar}`" if option.metavar else f"`{option.flag}`"


def test_the_options_are_those_of_the_code() -> None:
    told = _sections(DOCS / "reference" / "options.md")
    heads = {_heading(option): option for option in OPTIONS}
    assert [head for head in told if head.startswith("`")] == list(heads)
    for head, option in heads.items():
        first, _, meaning = told[head].strip().partition("\n")
        assert first == _facts(option), head
        assert len(meaning.split()) > 5, f"{head} is not explained"


def test_the_defaults_are_those_of_the_code() -> None:
    settings = _settings.Settings()
    for option in OPTIONS:
        if option.kind == "choice":
            assert getattr(settings, option.name) == option.default


def test_the_directives_are_those_of_the_code() -> None:
    told = _sections(DOCS / "reference" / "directives.md")
    forms = {f"`//pytest:{form.split(' or ')[0]}`" for form, _ in _directives._FORMS.values()}
    assert {head for head in told if head.startswith("`")} == forms


def test_the_fixtures_and_markers_are_those_of_the_code(tmp_path: Path) -> None:
    told = (DOCS / "reference" / "fixtures-and-markers.md").read_text(encoding="utf-8")
    heads = set(re.findall(r"^### `(\w+)`", told, flags=re.MULTILINE))
    fixtures = {
        name
        for name, value in vars(plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition" and not name.startswith("_")
    }
    said = run("pytest --gotest --markers", tmp_path, environment(tmp_path))
    markers = set(re.findall(r"^@pytest\.mark\.(gotest\w*)", said, flags=re.MULTILINE))
    assert heads == fixtures | markers


def test_troubleshooting_quotes_what_the_code_says() -> None:
    package = Path(plugin.__file__).parent
    # Python joins neighbouring literals; so does this.
    code = "".join(file.read_text(encoding="utf-8") for file in sorted(package.rglob("*.py")))
    code = re.sub(r'"\s*\n\s*f?"', "", code)
    for head in _sections(DOCS / "troubleshooting.md"):
        for quoted in re.findall(r"`([^`]+)`", head):
            for part in filter(None, quoted.split("...")):
                assert part.strip() in code, f"no error says {part!r}"


# This file


def test_dots_stand_for_any_lines_and_any_text() -> None:
    shown = pattern("one ... end\n...\n==== 2 passed in ...s ====\n")
    assert shown.fullmatch("one and the end\nx\ny\n========= 2 passed in 0.12s =========\n")
    assert not shown.fullmatch("one and the end\nx\n==== 3 passed in 0.12s ====\n")
    assert not shown.fullmatch("two\n==== 2 passed in 0.12s ====\n")


def test_an_open_fence_is_found() -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(fences("text\n```go\nfunc\n"))

"""Write a Go module of many small packages with many tests; runs nothing and needs no Go.

    python -m benchmarks.synthetic DIRECTORY [--packages 300] [--tests 34]

Equal arguments give equal files. Each package imports another one and the standard library, and
has its tests in two files: most are plain, some have subtests, some call t.Parallel, one is an
example, and every tenth package has a TestMain.
"""

from __future__ import annotations

import argparse
from pathlib import Path

_CODE = """\
// Package {name} is generated for measuring.
package {name}

import (
\t"errors"
\t"fmt"
\t"strings"
{imports})

// ErrEmpty is returned for nothing.
var ErrEmpty = errors.New("{name}: empty")

// Join puts words together, as often as the package before this one says.
func Join(words ...string) (string, error) {{
\tif len(words) == 0 {{
\t\treturn "", ErrEmpty
\t}}
\treturn fmt.Sprintf("%s/%d", strings.Join(words, "-"), Depth()), nil
}}

// Depth tells how many packages this one stands on.
func Depth() int {{ return {depth} }}
"""

_PLAIN = """
// {test} joins two words.
func {test}(t *testing.T) {{
\tgot, err := Join("a", "{number}")
\tif err != nil {{
\t\tt.Fatal(err)
\t}}
\tif want := fmt.Sprintf("a-{number}/%d", Depth()); got != want {{
\t\tt.Errorf("got %q, want %q", got, want)
\t}}
}}
"""

_TABLE = """
func {test}(t *testing.T) {{
\tfor _, test := range []struct {{
\t\tname  string
\t\twords []string
\t\terr   error
\t}}{{
\t\t{{"nothing", nil, ErrEmpty}},
\t\t{{"one word", []string{{"a"}}, nil}},
\t\t{{"many words", []string{{"a", "b", "{number}"}}, nil}},
\t}} {{
\t\tt.Run(test.name, func(t *testing.T) {{
\t\t\tif _, err := Join(test.words...); err != test.err {{
\t\t\t\tt.Errorf("got %v, want %v", err, test.err)
\t\t\t}}
\t\t}})
\t}}
}}
"""

_PARALLEL = """
func {test}(t *testing.T) {{
\tt.Parallel()
\tif Depth() < 0 {{
\t\tt.Fatal("below the ground")
\t}}
}}
"""

_EXAMPLE = """
func ExampleJoin() {{
\tjoined, _ := Join("a", "b")
\tfmt.Println(joined[:3])
\t// Output: a-b
}}
"""

_MAIN = """
func TestMain(m *testing.M) {{
\tos.Exit(m.Run())
}}
"""


def write(directory: Path, packages: int = 300, tests: int = 34) -> None:
    """Put the module "example.com/synthetic" into ``directory``, ``tests`` into each package."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "go.mod").write_text("module example.com/synthetic\n\ngo 1.22\n")
    for number in range(packages):
        _package(directory, number, tests)


def _package(directory: Path, number: int, tests: int) -> None:
    name = f"pkg{number:03}"
    place = directory / f"group{number // 20:02}" / name
    place.mkdir(parents=True, exist_ok=True)
    # Shallow: a change at the bottom of one long chain would rebuild everything above.
    below = f"group{number // 20:02}/pkg{number - 1:03}" if number % 10 else ""
    (place / f"{name}.go").write_text(
        _CODE.format(
            name=name,
            imports=f'\n\t"example.com/synthetic/{below}"\n' if below else "",
            depth=f"pkg{number - 1:03}.Depth() + 1" if below else "0",
        )
    )
    with_main = number % 10 == 0
    functions = [_EXAMPLE.format()] if tests else []
    for test in range(tests - 1):
        kind = (
            _TABLE
            if test % 10 == 3
            else _PARALLEL
            if number % 5 == 0 and test % 10 == 7
            else _PLAIN
        )
        functions.append(kind.format(test=f"TestJoin{test:03}", number=test))
    half = (len(functions) + 1) // 2
    _test_file(
        place / f"{name}_test.go",
        name,
        [*functions[:half], *([_MAIN.format()] if with_main else [])],
    )
    _test_file(place / "more_test.go", name, functions[half:])


def _test_file(path: Path, package: str, functions: list[str]) -> None:
    text = "".join(functions)
    imports = "".join(f'\t"{name}"\n' for name in ("fmt", "os", "testing") if f"{name}." in text)
    path.write_text(
        f"package {package}\n\nimport (\n{imports})\n{text}" if text else f"package {package}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--packages", type=int, default=300)
    parser.add_argument("--tests", type=int, default=34, help="of each package")
    given = parser.parse_args()
    write(given.directory, given.packages, given.tests)


if __name__ == "__main__":
    main()

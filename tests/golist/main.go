// Golist says what go/parser and go/doc make of Go test files, by cmd/go's rules
// (cmd/go/internal/load/test.go): the truth that pytest_gotest._source is held against.
//
// It reads file names from standard input, one a line, and writes one JSON object a line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

type function struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`
	Line      int      `json:"line"`
	EndLine   int      `json:"end_line"`
	Parallel  bool     `json:"parallel"`
	Unordered bool     `json:"unordered"`
	Order     int      `json:"order"`
	Doc       []string `json:"doc"` // "LINE TEXT" of each //pytest: comment right above
}

type file struct {
	Path      string     `json:"path"`
	Package   string     `json:"package"`
	Doc       []string   `json:"doc"`
	Functions []function `json:"functions"`
	Main      int        `json:"main"` // line of TestMain(m), 0 if there is none
	Problems  []string   `json:"problems"`
	Loose     []int      `json:"loose"` // lines of //pytest: comments that reach no test
	Syntax    string     `json:"syntax"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	names := bufio.NewScanner(os.Stdin)
	for names.Scan() {
		if err := out.Encode(read(names.Text())); err != nil {
			panic(err)
		}
	}
}

func read(path string) file {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return file{Path: path, Syntax: err.Error()}
	}
	line := func(pos token.Pos) int { return fset.PositionFor(pos, false).Line }
	directives := func(groups ...*ast.CommentGroup) []string {
		found := []string{}
		for _, group := range groups {
			if group == nil {
				continue
			}
			for _, c := range group.List {
				if rest, ok := strings.CutPrefix(c.Text, "//pytest:"); ok {
					found = append(found, strings.TrimSpace(fmt.Sprintf("%d %s", line(c.Pos()), rest)))
				}
			}
		}
		return found
	}
	result := file{Path: path, Package: f.Name.Name, Doc: directives(f.Doc), Functions: []function{}, Problems: []string{}, Loose: []int{}}
	examples := map[string]*doc.Example{}
	for _, e := range doc.Examples(f) {
		examples["Example"+e.Name] = e
	}
	reached := map[*ast.CommentGroup]bool{f.Doc: true}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv != nil {
			continue
		}
		name := fn.Name.Name
		found := function{Name: name, Line: line(fn.Pos()), EndLine: line(fn.End() - 1), Doc: directives(fn.Doc)}
		arg := ""
		switch {
		case name == "TestMain" && !takes(fn, "T"):
			if why := wrong(fn, "M"); why != "" {
				result.Problems = append(result.Problems, why)
			} else if result.Main != 0 {
				result.Problems = append(result.Problems, "multiple definitions of TestMain")
			} else {
				result.Main = found.Line
			}
			continue
		case name == "TestMain", isTest(name, "Test"):
			found.Kind, arg = "test", "T"
		case isTest(name, "Benchmark"):
			found.Kind, arg = "benchmark", "B"
		case isTest(name, "Fuzz"):
			found.Kind, arg = "fuzz", "F"
		default:
			e := examples[name]
			if e == nil || e.Output == "" && !e.EmptyOutput {
				continue
			}
			found.Kind, found.Unordered, found.Order = "example", e.Unordered, e.Order
		}
		if arg != "" && name != "TestMain" {
			if why := wrong(fn, arg); why != "" {
				result.Problems = append(result.Problems, why)
				continue
			}
		}
		found.Parallel = arg != "" && parallel(fn)
		reached[fn.Doc] = true
		result.Functions = append(result.Functions, found)
	}
	for _, group := range f.Comments {
		if reached[group] {
			continue
		}
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//pytest:") {
				result.Loose = append(result.Loose, line(c.Pos()))
			}
		}
	}
	sort.Ints(result.Loose)
	return result
}

func isTest(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	first, _ := utf8.DecodeRuneInString(rest)
	return ok && (rest == "" || !unicode.IsLower(first))
}

func wrong(fn *ast.FuncDecl, arg string) string {
	name := fn.Name.Name
	why := ""
	if !takes(fn, arg) {
		why = fmt.Sprintf("must be: func %s(%s *testing.%s)", name, strings.ToLower(arg), arg)
	}
	if fn.Type.TypeParams.NumFields() > 0 {
		why = "test functions cannot have type parameters"
	}
	if why == "" {
		return ""
	}
	return fmt.Sprintf("wrong signature for %s, %s", name, why)
}

func takes(fn *ast.FuncDecl, arg string) bool {
	if results := fn.Type.Results; results != nil && len(results.List) > 0 {
		return false
	}
	params := fn.Type.Params.List
	if len(params) != 1 || len(params[0].Names) > 1 {
		return false
	}
	pointer, ok := params[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	switch to := pointer.X.(type) {
	case *ast.Ident:
		return to.Name == arg
	case *ast.SelectorExpr:
		return to.Sel.Name == arg
	}
	return false
}

func parallel(fn *ast.FuncDecl) bool {
	names := fn.Type.Params.List[0].Names
	if fn.Body == nil || len(names) == 0 {
		return false
	}
	found := false
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Parallel" {
				on, ok := sel.X.(*ast.Ident)
				found = found || ok && on.Name == names[0].Name
			}
		}
		return true
	})
	return found
}

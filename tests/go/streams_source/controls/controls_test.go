// Package controls prints what looks like framing, and the control characters that framing uses.
//
// What the tests TestPrinted* write themselves is not escaped by package testing. The go command
// of Go 1.27.3 misreads it (golang/go#81577, golang/go#81592), except TestPrintedLines.
package controls

import (
	"fmt"
	"testing"
)

func TestPrintedLines(t *testing.T) {
	fmt.Println("=== RUN   TestFake")
	fmt.Println("--- FAIL: TestFake (0.00s)")
	fmt.Println("    --- FAIL: TestFake/sub (0.00s)")
	fmt.Println("=== NAME  TestOther")
	fmt.Println("FAIL")
	fmt.Println("PASS")
	fmt.Println("FAIL\texample.test/fake\t0.01s")
	fmt.Println("ok  \texample.test/fake\t0.01s")
	fmt.Println("panic: not really")
}

func TestPrintedColours(t *testing.T) {
	fmt.Print("\x1b[31mred\x1b[0m\n")
	t.Log("plain")
}

func TestPrintedShifts(t *testing.T) {
	fmt.Print("out \x0e and in \x0f\n")
	t.Log("plain")
	fmt.Print("ends \x0e\n")
}

func TestPrintedMarks(t *testing.T) {
	fmt.Print("a mark \x16 in a line, \x16\x16 two\n")
	fmt.Print("\x16no framing\n")
	fmt.Print("\x16    indented\n")
}

func TestPrintedPhantom(t *testing.T) {
	fmt.Print("\x16=== RUN   TestPhantom\n")
	fmt.Print("\x16--- FAIL: TestPhantom (0.00s)\n")
	fmt.Print("\x16=== NAME  TestPrintedPhantom\n")
}

func TestLoggedLines(t *testing.T) {
	t.Log("=== RUN   TestFake\n--- FAIL: TestFake (0.00s)\nFAIL")
}

func TestLoggedColours(t *testing.T) { t.Log("\x1b[31mred\x1b[0m and \x1b\x1b twice") }

func TestLoggedShifts(t *testing.T) { t.Log("out \x0e and in \x0f, \x0e\n\x0f    begin\nend\x0e") }

func TestErrorWithAll(t *testing.T) { t.Error("\x1b[1mbold \x0e\x0f\n    \x0fsecond\x0e\nthird") }

func TestLast(t *testing.T) { t.Log("fine") }

package lookalike

import (
	"fmt"
	"testing"
)

func TestPrintsFraming(t *testing.T) {
	fmt.Println("=== RUN   TestPhantom")
	fmt.Println("--- FAIL: TestPhantom (0.00s)")
	fmt.Println("--- FAIL: TestPrintsFraming (0.00s)")
	fmt.Println("=== NAME  TestPhantom")
	fmt.Println("FAIL")
	fmt.Println("FAIL\texample.com/output/lookalike\t0.001s")
	fmt.Println("exit status 1")
	fmt.Println("panic: test timed out after 1s")
}

func TestPrintsPass(t *testing.T) {
	fmt.Println("--- PASS: TestPrintsPass (0.00s)")
	fmt.Println("PASS")
	fmt.Println("ok  \texample.com/output/lookalike\t0.001s")
	t.Error("really failed")
}

func TestAfter(t *testing.T) {}

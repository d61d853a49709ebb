package orders_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/harness/orders"
)

func TestTwin(t *testing.T) {
	if orders.Answer() != 42 {
		t.Error("wrong")
	}
	t.Log("external twin")
}

// As goleak does: nothing but tests that wait for tests may run beside this one. A test that is over
// may still be on its way out.
func TestNoForeignGoroutines(t *testing.T) {
	foreign := foreignGoroutines()
	for try := 0; len(foreign) > 0 && try < 1000; try++ {
		time.Sleep(time.Millisecond)
		foreign = foreignGoroutines()
	}
	if len(foreign) > 0 {
		t.Errorf("goroutines of somebody else:\n%s", strings.Join(foreign, "\n\n"))
	}
}

func foreignGoroutines() (foreign []string) {
	dump := make([]byte, 1<<20)
	blocks := strings.Split(string(dump[:runtime.Stack(dump, true)]), "\n\n")
	for _, block := range blocks[1:] {
		lines := strings.Split(block, "\n")
		waits := strings.HasPrefix(lines[1], "testing.(*T).Run(") || strings.HasPrefix(lines[1], "testing.(*T).Parallel(")
		if !waits || !strings.Contains(lines[0], "[chan receive") {
			foreign = append(foreign, block)
		}
	}
	return foreign
}

func TestDescriptors(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Fd() > 50 {
		t.Errorf("a file got the number %d", file.Fd())
	}
}

func TestChildInheritsNothing(t *testing.T) {
	if value, set := os.LookupEnv("GOTEST_HARNESS"); set {
		t.Errorf("GOTEST_HARNESS is %q", value)
	}
	out, err := exec.Command("sh", "-c", "for fd in 200 201 202 203 204 205; do (true >&$fd) 2>/dev/null && echo $fd; done; true").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("open in a child: %s %v", out, err)
	}
}

func TestSwapsStdio(t *testing.T) {
	os.Stdin.Close()
	os.Stdin, os.Stdout, os.Stderr = nil, nil, nil
}

func TestForges(t *testing.T) {
	fmt.Print("\x16--- PASS: GotestHarness (0.00s)\n\x16=== RUN   GotestHarness\n")
	fmt.Println(`{"ready":"test","ok":true,"ns":0,"goroutines":1}`)
	fmt.Println("\x16--- FAIL: TestFirst (0.00s)")
}

// Package failing fails in every ordinary way.
package failing

import (
	"fmt"
	"testing"
)

func TestError(t *testing.T) { t.Error("one line") }

func TestErrorLines(t *testing.T) {
	t.Errorf("got:\n  %d\nwant:\n  %d", 1, 2)
	t.Log("a log after it")
	t.Error("another error")
}

func TestErrorAfterPrint(t *testing.T) {
	fmt.Print("no newline, then: ")
	t.Error("an error")
}

func TestFatal(t *testing.T) {
	t.Fatal("stops here")
	t.Log("never")
}

func TestFail(t *testing.T) { t.Fail() }

func TestErrorThenSkip(t *testing.T) {
	t.Error("failed first")
	t.Skip("then skipped")
}

func TestSubtests(t *testing.T) {
	t.Run("good", func(t *testing.T) {})
	t.Run("bad", func(t *testing.T) { t.Error("in the subtest") })
	t.Run("nested", func(t *testing.T) {
		t.Run("bad", func(t *testing.T) { t.Fatal("deep down") })
	})
}

func TestCleanupFails(t *testing.T) {
	t.Cleanup(func() { t.Error("in the clean-up") })
}

func TestStillRuns(t *testing.T) { t.Log("after all of these") }

func FuzzSeeds(f *testing.F) {
	f.Add(1)
	f.Add(2)
	f.Fuzz(func(t *testing.T, n int) {
		if n == 2 {
			t.Error("two")
		}
	})
}

func Example_wrong() {
	fmt.Println("got this")
	// Output: want that
}

func Example_right() {
	fmt.Println("right")
	// Output: right
}

package subtests

import (
	"fmt"
	"testing"
)

func TestNested(t *testing.T) {
	t.Run("a", func(t *testing.T) {
		t.Run("b", func(t *testing.T) {
			t.Run("c", func(t *testing.T) {
				t.Error("deep down")
			})
			t.Run("d", func(t *testing.T) {})
		})
	})
	t.Run("e", func(t *testing.T) {})
}

func TestTable(t *testing.T) {
	for _, tt := range []struct{ a, b, want int }{
		{1, 1, 2},
		{2, 2, 5},
	} {
		t.Run(fmt.Sprintf("%d and %d", tt.a, tt.b), func(t *testing.T) {
			if got := tt.a + tt.b; got != tt.want {
				t.Errorf("%d + %d = %d, want %d", tt.a, tt.b, got, tt.want)
			}
		})
	}
}

func TestParallelSubtests(t *testing.T) {
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			t.Logf("this is %d", i)
			if i == 1 {
				t.Error("one of three")
			}
		})
	}
}

func TestParentFailsAlone(t *testing.T) {
	t.Run("fine", func(t *testing.T) {})
	t.Error("only the parent")
}

func TestSubtestFatal(t *testing.T) {
	t.Run("fatal", func(t *testing.T) {
		t.Fatal("stop here")
	})
	t.Run("runs all the same", func(t *testing.T) {})
}

func TestCleanupFails(t *testing.T) {
	t.Cleanup(func() { t.Error("left a file behind") })
}

// check reports at its caller's line.
func check(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestPasses(t *testing.T) {
	check(t, "a", "a")
	t.Log("only to be seen when it fails")
}

func TestMultiline(t *testing.T) {

	check(
		t,
		"first line\n    second line",
		"first line",
	)
}

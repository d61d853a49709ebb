package orders

import (
	"os"
	"testing"
)

var meeting = make(chan string)

func TestFirst(t *testing.T)  { t.Log("first") }
func TestSecond(t *testing.T) { t.Log("second") }
func TestThird(t *testing.T)  { t.Log("third") }

// The two meet only if both run at the same time.
func TestMeetLeft(t *testing.T) {
	t.Parallel()
	meeting <- t.Name()
}

func TestMeetRight(t *testing.T) {
	t.Parallel()
	if name := <-meeting; name != "TestMeetLeft" {
		t.Fatal(name)
	}
}

func TestGreeting(t *testing.T) {
	value, set := os.LookupEnv("GREETING")
	t.Logf("GREETING is %q, %v", value, set)
}

func TestHome(t *testing.T) {
	value, set := os.LookupEnv("KEPT")
	t.Logf("KEPT is %q, %v", value, set)
}

func TestSubs(t *testing.T) {
	for i := 0; i < 2; i++ {
		t.Run("sub", func(t *testing.T) {})
	}
	t.Run("parallel", func(t *testing.T) { t.Parallel() })
}

func TestTwin(t *testing.T) { t.Log("internal twin") }

func TestFails(t *testing.T) {
	t.Cleanup(func() { t.Log("cleaned up") })
	helper(t)
}

func helper(t *testing.T) {
	t.Helper()
	t.Error("failed as it should")
}

func TestSkips(t *testing.T) { t.Skip("not today") }

func TestSetenvAfterParallel(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("t.Setenv did not panic")
		}
	}()
	t.Setenv("X", "x")
}

func TestSetenv(t *testing.T) { t.Setenv("ONLY_HERE", "x") }

func TestDeadline(t *testing.T) {
	if _, ok := t.Deadline(); !ok {
		t.Error("no deadline")
	}
}

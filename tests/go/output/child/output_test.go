package child

import (
	"os"
	"os/exec"
	"testing"
)

// TestHelperProcess is not a test by itself: it fails when it is the child.
func TestHelperProcess(t *testing.T) {
	if os.Getenv("CHILD_OF_TEST") == "1" {
		t.Error("the child fails, as its parent expects")
	}
}

// TestRunsItself is os/exec's idiom, with the child's stream in ours.
func TestRunsItself(t *testing.T) {
	child := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$", "-test.v=test2json")
	child.Env = append(os.Environ(), "CHILD_OF_TEST=1")
	child.Stdout = os.Stdout
	child.Stderr = os.Stderr
	if err := child.Run(); err == nil {
		t.Error("the child passed")
	}
}

func TestAfter(t *testing.T) {}

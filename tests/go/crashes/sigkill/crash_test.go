package sigkill

import (
	"os"
	"syscall"
	"testing"
)

// TestKilled does what the kernel does when memory runs out.
func TestKilled(t *testing.T) {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-make(chan int)
}

func TestAfter(t *testing.T) {}

package ignoresquit

import (
	"os/signal"
	"syscall"
	"testing"
	"time"
)

func TestIgnoresSIGQUIT(t *testing.T) {
	signal.Ignore(syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT)
	time.Sleep(time.Hour)
}

func TestAfter(t *testing.T) {}

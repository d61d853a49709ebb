package notifyquit

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

func TestCatchesSIGQUIT(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT)
	for got := range signals {
		t.Log("ignored", got)
	}
}

func TestAfter(t *testing.T) {}

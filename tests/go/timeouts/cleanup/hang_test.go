package cleanup

import (
	"testing"
	"time"
)

func TestCleanupHangs(t *testing.T) {
	t.Cleanup(func() { time.Sleep(time.Hour) })
}

func TestAfter(t *testing.T) {}

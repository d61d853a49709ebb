package parallel

import (
	"sync"
	"testing"
	"time"
)

var (
	neighbour = make(chan struct{})
	once      sync.Once
)

// TestPanics waits a moment for its neighbour, so that a run which starts
// both together takes it down in the middle.
func TestPanics(t *testing.T) {
	t.Parallel()
	select {
	case <-neighbour:
	case <-time.After(time.Second):
	}
	panic("boom beside a neighbour")
}

func TestNeighbour(t *testing.T) {
	t.Parallel()
	once.Do(func() { close(neighbour) })
	time.Sleep(300 * time.Millisecond)
}

func TestSequential(t *testing.T) {}

package deadlock

import (
	"sync"
	"testing"
)

func TestMutex(t *testing.T) {
	var mu sync.Mutex
	mu.Lock()
	mu.Lock()
}

func TestAfter(t *testing.T) {}

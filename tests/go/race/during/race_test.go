package during

import (
	"sync"
	"testing"
)

func TestRaces(t *testing.T) {
	var (
		wg    sync.WaitGroup
		count int
	)
	for range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			count++
		}()
	}
	wg.Wait()
	_ = count
}

func TestAfter(t *testing.T) {}

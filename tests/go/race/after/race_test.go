package after

import (
	"os"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
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
	os.Exit(code)
}

func TestA(t *testing.T) {}

func TestB(t *testing.T) {}

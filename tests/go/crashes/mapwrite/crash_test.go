package mapwrite

import "testing"

// The runtime notices concurrent writes by chance: keep on until it does.
func TestConcurrentMapWrites(t *testing.T) {
	seen := map[int]int{}
	for worker := 0; worker < 4; worker++ {
		go func() {
			for i := 0; ; i++ {
				seen[i%64] = i
			}
		}()
	}
	<-make(chan int)
}

func TestAfter(t *testing.T) {}

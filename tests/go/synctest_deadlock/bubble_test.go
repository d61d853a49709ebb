package bubble

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		<-make(chan int)
	})
}

func TestFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		time.Sleep(time.Hour)
		if slept := time.Since(start); slept != time.Hour {
			t.Errorf("slept %v", slept)
		}
	})
}

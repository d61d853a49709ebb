package sleeps

import (
	"testing"
	"time"
)

func TestBefore(t *testing.T) {}

func TestSleeps(t *testing.T) {
	time.Sleep(time.Hour)
}

func TestAfter(t *testing.T) {}

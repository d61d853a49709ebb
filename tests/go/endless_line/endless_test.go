package endless

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestEndlessLine(t *testing.T) {
	chunk := strings.Repeat("no end ", 1_000_000/7)
	for range 40 {
		os.Stdout.WriteString(chunk)
	}
	time.Sleep(time.Hour)
}

func TestAfter(t *testing.T) {}

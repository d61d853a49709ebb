package subtest

import (
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	t.Run("quick", func(t *testing.T) {})
	t.Run("stuck", func(t *testing.T) { time.Sleep(time.Hour) })
	t.Run("later", func(t *testing.T) {})
}

func TestAfter(t *testing.T) {}

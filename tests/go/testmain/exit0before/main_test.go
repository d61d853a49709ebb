package exit0before

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	os.Exit(0)
}

func TestA(t *testing.T) { t.Error("never run") }

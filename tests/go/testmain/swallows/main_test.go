package swallows

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	m.Run()
	os.Exit(0)
}

func TestFails(t *testing.T) { t.Error("seen by nobody") }

func TestPasses(t *testing.T) {}

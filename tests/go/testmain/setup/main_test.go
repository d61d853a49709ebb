package setup

import (
	"os"
	"path/filepath"
	"testing"
)

var dir string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if dir, err = os.MkdirTemp("", "setup"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600); err != nil {
		panic(err)
	}
	return m.Run()
}

func TestSeesSetup(t *testing.T) { look(t) }

func TestSeesItAgain(t *testing.T) { look(t) }

func look(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "ready")); err != nil {
		t.Error(err)
	}
}

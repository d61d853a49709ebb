package contexts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestContextEndsBeforeCleanup(t *testing.T) {
	ctx := t.Context()
	if ctx.Err() != nil {
		t.Error("ended too early")
	}
	t.Cleanup(func() {
		if ctx.Err() == nil {
			t.Error("did not end")
		}
	})
}

func TestDeadlineExists(t *testing.T) {
	if _, ok := t.Deadline(); !ok {
		t.Error("no deadline")
	}
}

func TestSetenv(t *testing.T) {
	t.Setenv("CONTEXTS_CASE", "set")
}

func TestSetenvIsUndone(t *testing.T) {
	if value, found := os.LookupEnv("CONTEXTS_CASE"); found {
		t.Errorf("still %q", value)
	}
}

func TestChdir(t *testing.T) {
	t.Chdir(t.TempDir())
}

func TestChdirIsUndone(t *testing.T) {
	if dir, err := os.Getwd(); err != nil || filepath.Base(dir) != "contexts" {
		t.Errorf("cwd = %q, %v", dir, err)
	}
}

// TestSetenvAfterParallel panics: testing forbids it.
func TestSetenvAfterParallel(t *testing.T) {
	t.Parallel()
	t.Setenv("CONTEXTS_CASE", "set")
}

func TestTempDirIsNamedAfterTheTest(t *testing.T) {
	if dir := t.TempDir(); !strings.Contains(dir, "TestTempDirIsNamedAfterTheTest") {
		t.Errorf("dir = %q", dir)
	}
}

func TestName(t *testing.T) {
	if t.Name() != "TestName" {
		t.Error(t.Name())
	}
	t.Run("sub", func(t *testing.T) {
		if t.Name() != "TestName/sub" {
			t.Error(t.Name())
		}
	})
}

package artifacts

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLeavesArtifact(t *testing.T) {
	leave(t, "trace.txt")
}

func TestFailsWithArtifact(t *testing.T) {
	leave(t, "screenshot.txt")
	t.Error("the screenshot differs")
}

func leave(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name), []byte("seen"), 0o600); err != nil {
		t.Fatal(err)
	}
}

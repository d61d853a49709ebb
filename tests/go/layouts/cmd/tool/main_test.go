package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

func TestParseArgs(t *testing.T) {
	if got := parse([]string{"a", "b"}); got != 2 {
		t.Errorf("parse = %d", got)
	}
}

// TestBuildsItself finds go on PATH, as a test under go test does.
func TestBuildsItself(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "tool")
	if output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	if output, err := exec.Command(binary, "x").Output(); err != nil || string(output) != "1\n" {
		t.Errorf("tool x = %q, %v", output, err)
	}
}

package data

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGoldenFile(t *testing.T) {
	got, err := os.ReadFile("testdata/golden.txt")
	if err != nil || string(got) != "golden\n" {
		t.Errorf("golden = %q, %v", got, err)
	}
}

func TestWorkingDirectory(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(dir) != "data" || os.Getenv("PWD") != dir {
		t.Errorf("cwd = %q, PWD = %q", dir, os.Getenv("PWD"))
	}
}

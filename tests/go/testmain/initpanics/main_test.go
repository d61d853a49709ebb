package initpanics

import (
	"os"
	"testing"
)

var config = mustRead("no-such-file.json")

func mustRead(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return data
}

func TestA(t *testing.T) { _ = config }

func TestB(t *testing.T) {}

package er

import (
	"os"
	"testing"
)

func TestParentFile(t *testing.T) {
	if _, err := os.Stat("../../testdata/golden.txt"); err != nil {
		t.Error(err)
	}
}

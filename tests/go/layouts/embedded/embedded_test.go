package embedded

import (
	"embed"
	"strings"
	"testing"
)

//go:embed testdata
var files embed.FS

func TestEmbedded(t *testing.T) {
	if !strings.HasPrefix(Schema, "CREATE TABLE") {
		t.Errorf("schema = %q", Schema)
	}
}

func TestEmbeddedInTest(t *testing.T) {
	got, err := files.ReadFile("testdata/golden.txt")
	if err != nil || string(got) != "golden\n" {
		t.Errorf("golden = %q, %v", got, err)
	}
}

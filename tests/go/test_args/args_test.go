package args

import (
	"flag"
	"slices"
	"testing"
)

var backend = flag.String("backend", "memory", "where to store")

func TestArgs(t *testing.T) {
	if *backend != "disk" {
		t.Errorf("backend = %q", *backend)
	}
	if want := []string{"two words", "", "*"}; !slices.Equal(flag.Args(), want) {
		t.Errorf("args = %q, want %q", flag.Args(), want)
	}
}

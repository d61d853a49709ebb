package flags

import (
	"flag"
	"os"
	"testing"
)

var backend = flag.String("backend", "memory", "where to store")

func TestMain(m *testing.M) {
	flag.Parse()
	if *backend == "" {
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func TestFlag(t *testing.T) {
	if *backend != "memory" {
		t.Errorf("backend = %q", *backend)
	}
}

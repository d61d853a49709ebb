package failfast

import (
	"flag"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.failfast", "true"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestPasses(t *testing.T) {}

func TestTable(t *testing.T) {
	for _, name := range []string{"first", "second", "third"} {
		t.Run(name, func(t *testing.T) {
			if name == "second" {
				t.Errorf("%s is wrong", name)
			}
		})
	}
}

func TestLater(t *testing.T) {}

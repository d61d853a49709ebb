package fatalbefore

import (
	"errors"
	"log"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if err := setUp(); err != nil {
		log.Fatal(err)
	}
	os.Exit(m.Run())
}

func setUp() error { return errors.New("no licence") }

func TestA(t *testing.T) {}

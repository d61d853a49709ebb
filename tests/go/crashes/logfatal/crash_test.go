package logfatal

import (
	"log"
	"testing"
)

func TestLogFatal(t *testing.T) {
	log.Fatal("no config file")
}

func TestAfter(t *testing.T) {}

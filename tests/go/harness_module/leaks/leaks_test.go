// Package leaks has tests that leave something behind.
package leaks

import (
	"log"
	"os"
	"runtime"
	"testing"
	"time"
)

func TestClean(t *testing.T) {}

func TestGoroutine(t *testing.T) { go leave() }

func leave() { select {} }

func TestEndsSoon(t *testing.T) {
	go func() { runtime.Gosched() }()
}

func TestEnvironment(t *testing.T) {
	os.Setenv("LEFT", "secret")
	os.Setenv("GIVEN", "other")
	os.Unsetenv("DROPPED")
}

func TestPutsBack(t *testing.T) {
	os.Unsetenv("GIVEN")
	os.Setenv("GIVEN", "original")
}

func TestDirectory(t *testing.T) { os.Chdir("/") }

func TestProcs(t *testing.T) { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) }

func TestLocation(t *testing.T) { time.Local = time.UTC }

func TestLogger(t *testing.T) { log.SetPrefix("left ") }

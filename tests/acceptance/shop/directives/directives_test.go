package directives

import (
	"fmt"
	"os"
	"testing"
	"time"
)

//pytest:mark slow
func TestSlowMark(t *testing.T) {}

//pytest:mark owner("ann", team="till")
func TestOwner(t *testing.T) {}

//pytest:skip reason="no till here"
func TestSkipped(t *testing.T) { t.Error("it ran") }

//pytest:skipif sys.platform != "nowhere" reason="needs nowhere"
func TestSkippedIf(t *testing.T) { t.Error("it ran") }

//pytest:skipif sys.platform == "nowhere" reason="not on nowhere"
func TestNotSkipped(t *testing.T) {}

//pytest:xfail reason="issue 12"
func TestKnown(t *testing.T) { t.Error("issue 12 is open") }

//pytest:xfail reason="issue 13"
func TestMended(t *testing.T) {}

//pytest:xfail reason="issue 14" strict
func TestMendedStrict(t *testing.T) {}

//pytest:usefixtures counter
func TestFixture(t *testing.T) { fmt.Println("count is " + os.Getenv("SHOP_COUNT")) }

//pytest:timeout 0.5
func TestTimeout(t *testing.T) { time.Sleep(time.Hour) }

//pytest:isolate
func TestIsolated(t *testing.T) { fmt.Printf("pid %d\n", os.Getpid()) }

func TestPid(t *testing.T) { fmt.Printf("pid %d\n", os.Getpid()) }

func TestSamePid(t *testing.T) { fmt.Printf("pid %d\n", os.Getpid()) }

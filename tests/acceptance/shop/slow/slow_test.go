package slow

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Says which processes it is made of, then sleeps.
func TestHang(t *testing.T) {
	child := exec.Command("sleep", "3600")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pids := fmt.Sprintf("%d %d", os.Getpid(), child.Process.Pid)
	if err := os.WriteFile(os.Getenv("SHOP_PIDS")+".new", []byte(pids), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(os.Getenv("SHOP_PIDS")+".new", os.Getenv("SHOP_PIDS")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Hour)
}

// Goes on when who reads its output has made the file.
func TestLive(t *testing.T) {
	fmt.Println("waiting for a file")
	for range 3000 {
		if _, err := os.Stat(os.Getenv("SHOP_FILE")); err == nil {
			fmt.Println("there it is")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("nobody made the file")
}

func TestNap(t *testing.T) {
	time.Sleep(50 * time.Millisecond)
	t.Run("inner", func(t *testing.T) { time.Sleep(50 * time.Millisecond) })
}

func TestQuick(t *testing.T) {}

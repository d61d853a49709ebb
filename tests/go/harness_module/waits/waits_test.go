package waits

import (
	"net"
	"os"
	"os/signal"
	"sync"
	"testing"
	"time"
)

var never = make(chan int)

func TestReceives(t *testing.T) {
	<-never // here
}

func TestSends(t *testing.T) {
	never <- 1 // here
}

func TestSelects(t *testing.T) {
	select { // here
	case <-never:
	case never <- 1:
	}
}

func TestLocks(t *testing.T) {
	var mu sync.Mutex
	mu.Lock()
	mu.Lock() // here
}

func TestWaits(t *testing.T) {
	var group sync.WaitGroup
	group.Add(1)
	group.Wait() // here
}

func TestWaitsForACondition(t *testing.T) {
	var mu sync.Mutex
	mu.Lock()
	sync.NewCond(&mu).Wait() // here
}

func TestSubtest(t *testing.T) {
	t.Run("sub", func(t *testing.T) {
		<-never // here
	})
}

func TestBesideAListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go listener.Accept()
	<-never // here
}

func TestBesideSignals(t *testing.T) {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	<-never // here
}

// Something comes.

func TestSleeps(t *testing.T) {
	time.Sleep(300 * time.Millisecond)
}

func TestComputes(t *testing.T) {
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
	}
}

func TestIsHelped(t *testing.T) {
	done := make(chan int)
	go func() {
		time.Sleep(300 * time.Millisecond)
		close(done)
	}()
	<-done
}

func TestReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { w.Close() })
	r.Read(make([]byte, 1))
}

func TestGoesOn(t *testing.T) {
	steps := make(chan int)
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
		time.AfterFunc(5*time.Millisecond, func() { steps <- 1 })
		go func() { steps <- <-steps }()
		<-steps
	}
}

package exchange

import "testing"

var requests, replies = make(chan int), make(chan int)

func TestServer(t *testing.T) {
	t.Parallel()
	replies <- 2 * <-requests
}

func TestBeside(t *testing.T) {}

func TestClient(t *testing.T) {
	t.Parallel()
	requests <- 21
	if got := <-replies; got != 42 {
		t.Errorf("reply = %d, want 42", got)
	}
}

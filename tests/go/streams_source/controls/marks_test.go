//go:build go1.27

package controls

import "testing"

// Before Go 1.27 the marks that t.Log writes are framing.

func TestLoggedMarks(t *testing.T) {
	t.Log("a mark \x16 in a line")
	t.Log("\x16=== RUN   TestFake\n\x16--- FAIL: TestFake (0.00s)")
}

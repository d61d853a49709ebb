// Package vetted compiles, and go vet refuses it.
package vetted

import "testing"

func TestNever(t *testing.T) { t.Logf("%d", "not a number") }

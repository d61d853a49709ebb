// Package attrs uses what later Go versions brought.
package attrs

import "testing"

func TestPlain(t *testing.T) {}

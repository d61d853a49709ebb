//go:build integration && slow

package slow

import "testing"

func TestSlow(t *testing.T) {}

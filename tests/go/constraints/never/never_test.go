//go:build never

package never

import "testing"

func TestNever(t *testing.T) { t.Error("built although excluded") }

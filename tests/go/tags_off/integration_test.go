//go:build integration && !windows

package tags

import "testing"

func TestIntegration(t *testing.T) {}

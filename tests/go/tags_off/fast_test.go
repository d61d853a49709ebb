//go:build !integration

package tags

import "testing"

func TestFastStub(t *testing.T) {}

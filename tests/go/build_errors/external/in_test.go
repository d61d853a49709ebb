package external

import "testing"

func TestInside(t *testing.T) {}

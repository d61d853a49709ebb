package tags

import "testing"

func TestAlways(t *testing.T) {}

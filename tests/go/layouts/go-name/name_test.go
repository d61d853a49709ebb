package othername

import "testing"

func TestOtherName(t *testing.T) {}

package outer

import "testing"

func TestOuter(t *testing.T) {}

package some

import "testing"

func TestSome(t *testing.T) {}

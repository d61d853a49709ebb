package layouts

import "testing"

func TestLikePython(t *testing.T) {}

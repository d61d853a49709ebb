package dist

import "testing"

func TestInDist(t *testing.T) { t.Error("found in dist") }

package partly

import "testing"

func TestHere(t *testing.T) {}

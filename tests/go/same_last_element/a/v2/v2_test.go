package v2

import "testing"

func TestStore(t *testing.T) {}

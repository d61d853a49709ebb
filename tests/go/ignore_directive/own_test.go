package own

import "testing"

func TestOwn(t *testing.T) {}

package reversed

import "testing"

func TestParse(t *testing.T) {}

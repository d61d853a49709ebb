package malformed

import "testing"

func TestFine(t *testing.T) {}

//pytest:timeout soon
func TestTimeout(t *testing.T) {}

package theirs

import "testing"

func TestTheirs(t *testing.T) { t.Error("not ours") }

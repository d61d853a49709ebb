package store

import "testing"

func TestStore(t *testing.T) { t.Error("this is b") }

package code

import "testing"

func TestCode(t *testing.T) { Answer() }

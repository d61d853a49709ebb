package build

import "testing"

func TestInBuild(t *testing.T) {}

package helpers

import "testing"

func TestUsesHelperOfOtherFile(t *testing.T) {
	check(t)
}

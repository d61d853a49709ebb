package external_test

import "testing"

func TestOutside(t *testing.T) {
	alsoUndefined()
}

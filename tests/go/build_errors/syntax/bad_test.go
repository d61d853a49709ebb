package syntax

import "testing"

func TestBefore(t *testing.T) {}

func helper() {
	if x := 1; x {{
}

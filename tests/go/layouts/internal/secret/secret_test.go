package secret

import "testing"

func TestSecret(t *testing.T) {
	if Word != "swordfish" {
		t.Error(Word)
	}
}

package missing

import (
	"testing"

	"example.com/nowhere"
)

func TestMissing(t *testing.T) { nowhere.Do() }

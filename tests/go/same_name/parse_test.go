package same

import "testing"

func TestParse(t *testing.T) {
	t.Run("empty", func(t *testing.T) { t.Error("the internal one fails") })
	t.Run("inside", func(t *testing.T) {})
}

func TestOnlyInside(t *testing.T) {}

package same_test

import (
	"testing"

	same "example.com/same_name"
)

func TestParse(t *testing.T) {
	t.Run("blank", func(t *testing.T) {
		if same.Parse("") != 0 {
			t.Error("not 0")
		}
	})
	t.Run("outside", func(t *testing.T) {})
}

package attrs

import "testing"

func TestAttr(t *testing.T) {
	t.Attr("ticket", "SHOP-7")
}

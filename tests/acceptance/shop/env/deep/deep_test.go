package deep

import (
	"fmt"
	"os"
	"testing"
)

// Read before TestMain, as a package that opens its database in a variable does.
var early = os.Getenv("SHOP_VALUE")

func TestOne(t *testing.T) { fmt.Printf("deep: early=%s now=%s\n", early, os.Getenv("SHOP_VALUE")) }

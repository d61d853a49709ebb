package unused

import (
	"os"
	"testing"
)

func TestUnused(t *testing.T) {}

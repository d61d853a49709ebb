package dependency

import (
	"testing"

	"example.com/build_errors/dependency/broken"
)

func TestUser(t *testing.T) { broken.Value() }

package forbidden

import (
	"testing"

	"example.com/build_errors/dependency/internal/secret"
)

func TestForbidden(t *testing.T) { _ = secret.Value }

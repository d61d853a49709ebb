package helpers

import "testing"

// Testify is no test: a lower-case letter follows the prefix.
func Testify(t testing.TB) { t.Error("run although no test") }

type suite struct{}

func (suite) TestMethod(t *testing.T) { t.Error("run although a method") }

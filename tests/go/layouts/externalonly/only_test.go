package externalonly_test

import "testing"

func TestFromOutside(t *testing.T) {}

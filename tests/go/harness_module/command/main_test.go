package main

import "testing"

func TestVariables(t *testing.T) {
	if tests != 1 || fuzzTargets != 2 || examples != 3 || benchmarks != 4 {
		t.Error(tests, fuzzTargets, examples, benchmarks)
	}
}

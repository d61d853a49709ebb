package memory_test

import (
	"testing"

	"example.com/bookstore/store"
	"example.com/bookstore/store/memory"
	"example.com/bookstore/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
}

func TestSurvivesRestart(t *testing.T) {
	t.Skip("the memory store forgets everything by design")
}

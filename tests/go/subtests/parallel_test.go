package subtests

import "testing"

func TestOne(t *testing.T) {
	t.Parallel()
}

func TestTwo(t *testing.T) {
	t.Parallel()

	t.Error("two is wrong")
}

func TestThree(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"x", "y"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
		})
	}
}

func TestSequential(t *testing.T) {}

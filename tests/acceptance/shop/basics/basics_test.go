package basics

import (
	"fmt"
	"testing"
)

func TestPass(t *testing.T) {
	fmt.Println("printed by TestPass")
}

func TestFail(t *testing.T) {
	fmt.Println("printed by TestFail")
	sum := Add(2, 2)
	if sum != 5 {
		t.Errorf("2 + 2 = %d, want 5", sum)
	}
	t.Log("a remark")
}

func TestLines(t *testing.T) {
	t.Errorf("first line\n  second line\n\nfourth line")
}

func TestHelper(t *testing.T) {
	same(t, Add(1, 1), 3)
}

func TestElsewhere(t *testing.T) {
	sameWithoutHelper(t, Add(1, 1), 3)
}

// As github.com/stretchr/testify writes it.
func TestRequire(t *testing.T) {
	t.Errorf("\n%s", ""+
		"\tError Trace:\tbasics_test.go:33\n"+
		"\tError:      \tNot equal: \n"+
		"\t            \texpected: 3\n"+
		"\t            \tactual  : 2\n"+
		"\tTest:       \tTestRequire\n")
	t.FailNow()
}

func TestSkip(t *testing.T) {
	t.Skip("no printer")
}

func TestSilent(t *testing.T) {
	t.Fail()
}

func TestTable(t *testing.T) {
	for _, c := range []struct {
		name string
		want int
	}{{"small sum", 2}, {"big sum", 7}, {"none", 2}} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "none" {
				t.Skip("nothing to add")
			}
			if got := Add(1, 1); got != c.want {
				t.Errorf("%s: got %d, want %d", c.name, got, c.want)
			}
		})
	}
}

func FuzzAdd(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) {})
}

func ExampleAdd() {
	fmt.Println(Add(1, 2))
	// Output: 3
}

func ExampleAdd_wrong() {
	fmt.Println(Add(1, 2))
	// Output: 4
}

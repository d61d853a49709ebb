package big

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

const megabytes = 60

func TestPrintsALot(t *testing.T) {
	fmt.Println("the first line")
	line := strings.Repeat("x", 99) + "\n"
	out := bufio.NewWriter(os.Stdout)
	for range megabytes * 10_000 {
		out.WriteString(line)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	fmt.Println("the last line")

	t.Error("too much")
}

func TestAfter(t *testing.T) {}

package stdout

import (
	"fmt"
	"io"
	"os"
	"testing"
)

// TestReplacesStdout captures what a function prints, as many tests do.
func TestReplacesStdout(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	saved := os.Stdout
	os.Stdout = writer
	fmt.Print("captured")
	os.Stdout = saved
	writer.Close()
	if got, err := io.ReadAll(reader); err != nil || string(got) != "captured" {
		t.Errorf("captured %q, %v", got, err)
	}
}

func TestStderr(t *testing.T) {
	fmt.Fprintln(os.Stderr, "written to stderr")
	fmt.Println("written to stdout")
	t.Fail()
}

func TestClosesStdin(t *testing.T) {
	if err := os.Stdin.Close(); err != nil {
		t.Error(err)
	}
}

package order

import (
	"os"
	"testing"
)

func note(text string) {
	file, err := os.OpenFile(os.Getenv("SHOP_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	file.WriteString(text + "\n")
}

func TestMain(m *testing.M) {
	note("TestMain")
	os.Exit(m.Run())
}

func TestA(t *testing.T) { note("TestA") }

func TestB(t *testing.T) { note("TestB") }

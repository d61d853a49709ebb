package inner

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

func TestC(t *testing.T) { note("TestC") }

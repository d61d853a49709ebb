package accounts

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"testing"

	_ "github.com/lib/pq"

	"example.com/ledger/schema"
)

var db *sql.DB

// What it makes is there for all tests of this package, and gone when the next package begins.
func TestMain(m *testing.M) {
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		fmt.Println("DATABASE_URL names no database: pytest --gotest brings one")
		os.Exit(1)
	}
	var err error
	if db, err = sql.Open("postgres", url); err == nil {
		err = schema.Migrate(db)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestOpen(t *testing.T) {
	if err := Open(db, "cash"); err != nil {
		t.Fatal(err)
	}
	if balance, err := Balance(db, "cash"); err != nil || balance != 0 {
		t.Errorf("Balance = %d, %v; want 0", balance, err)
	}
}

func TestNoSuchAccount(t *testing.T) {
	if _, err := Balance(db, "nobody's"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("Balance: %v, want sql.ErrNoRows", err)
	}
}

package journal

import (
	"database/sql"
	"fmt"
	"os"
	"testing"

	_ "github.com/lib/pq"

	"example.com/ledger/accounts"
	"example.com/ledger/schema"
)

var db *sql.DB

// The accounts that it opens have the names of those in the tests of package accounts: each package begins anew.
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
	for _, name := range []string{"cash", "rent"} {
		if err == nil {
			err = accounts.Open(db, name)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestMove(t *testing.T) {
	if id, err := Move(db, "cash", "rent", 700); err != nil || id != 1 {
		t.Fatalf("Move = %d, %v; want the first entry", id, err)
	}
	for name, want := range map[string]int64{"cash": -700, "rent": 700} {
		if got, err := accounts.Balance(db, name); err != nil || got != want {
			t.Errorf("%s holds %d, %v; want %d", name, got, err, want)
		}
	}
}

func TestMoveNothing(t *testing.T) {
	if _, err := Move(db, "cash", "rent", 0); err == nil {
		t.Error("an entry of 0 was booked")
	}
}

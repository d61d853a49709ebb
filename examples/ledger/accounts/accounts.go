// Package accounts opens accounts and says what is in them.
package accounts

import "database/sql"

// Open makes an account with nothing in it.
func Open(db *sql.DB, name string) error {
	_, err := db.Exec(`INSERT INTO accounts (name) VALUES ($1)`, name)
	return err
}

// Balance is what an account holds; sql.ErrNoRows if there is none of that name.
func Balance(db *sql.DB, name string) (int64, error) {
	var balance int64
	err := db.QueryRow(`SELECT balance FROM accounts WHERE name = $1`, name).Scan(&balance)
	return balance, err
}

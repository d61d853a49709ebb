// Package schema makes the tables of the ledger.
package schema

import "database/sql"

var steps = []string{
	`CREATE TABLE accounts (name text PRIMARY KEY, balance bigint NOT NULL DEFAULT 0)`,
	`CREATE TABLE entries (
		id     bigserial PRIMARY KEY,
		source text NOT NULL REFERENCES accounts,
		target text NOT NULL REFERENCES accounts,
		amount bigint NOT NULL CHECK (amount > 0)
	)`,
}

// Migrate makes all that is not there yet, in one transaction.
func Migrate(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`CREATE TABLE IF NOT EXISTS schema_steps (step int PRIMARY KEY)`); err != nil {
		return err
	}
	var done int
	if err := tx.QueryRow(`SELECT count(*) FROM schema_steps`).Scan(&done); err != nil {
		return err
	}
	for step := done; step < len(steps); step++ {
		if _, err := tx.Exec(steps[step]); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO schema_steps VALUES ($1)`, step); err != nil {
			return err
		}
	}
	return tx.Commit()
}

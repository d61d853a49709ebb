// Package journal moves money between accounts.
package journal

import "database/sql"

// Move books an amount from one account to another and returns the number of the entry.
func Move(db *sql.DB, source, target string, amount int64) (int64, error) {
	tx, err := db.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var id int64
	err = tx.QueryRow(`INSERT INTO entries (source, target, amount) VALUES ($1, $2, $3) RETURNING id`,
		source, target, amount).Scan(&id)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(`UPDATE accounts SET balance = balance + CASE name WHEN $1 THEN -$3::bigint ELSE $3 END
		WHERE name IN ($1, $2)`, source, target, amount)
	if err != nil {
		return 0, err
	}
	return id, tx.Commit()
}

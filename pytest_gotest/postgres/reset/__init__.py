"""How a database is put back to its baseline."""

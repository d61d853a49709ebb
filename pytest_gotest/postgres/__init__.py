"""A PostgreSQL of its own for every worker, put back to its baseline; knows nothing of Go or of how tests run."""

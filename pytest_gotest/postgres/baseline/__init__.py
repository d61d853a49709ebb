"""What a database holds before any test: migrations, a command, rows of files."""

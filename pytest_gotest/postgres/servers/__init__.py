"""Where a PostgreSQL server comes from: a container, programs on this machine, or one that others use too."""

"""What Go's tests have made is theirs: this one finds the database as migrations of pytest would leave it, empty."""


def test_no_tables(gotest_db):
    tables = gotest_db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert tables.fetchall() == []

"""Databases made, cloned and dropped, from another one of the same server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_gotest.postgres import _client
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.servers._provider import MAINTENANCE

if TYPE_CHECKING:
    import psycopg

MARK = "pytest-gotest, "  # how comments begin that are ours


def equip(server: Server, dbname: str = MAINTENANCE) -> None:
    """What the reset reads the log with, if it is there (contrib, since 15); not in the database of the tests."""
    with _client.connect(replace(server, dbname=dbname).dsn()) as connection:
        found = "SELECT FROM pg_available_extensions WHERE name = 'pg_walinspect'"
        if connection.execute(found).fetchone() is not None:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")


def create(connection: psycopg.Connection[Any], name: str) -> None:
    """``name`` and nothing in it, unless there is one."""
    from psycopg import sql

    if not exists(connection, name):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def exists(connection: psycopg.Connection[Any], name: str) -> bool:
    there = "SELECT FROM pg_database WHERE datname = %s"
    return connection.execute(there, (name,)).fetchone() is not None


def drop(connection: psycopg.Connection[Any], name: str, *, force: bool = True) -> None:
    """Whoever is connected to it, with ``force``."""
    from psycopg import sql

    identifier = sql.Identifier(name)
    if is_template(connection, name):  # which cannot be dropped
        connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(identifier))
    how = " WITH (FORCE)" if force else ""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}" + how).format(identifier))


def is_template(connection: psycopg.Connection[Any], name: str) -> bool:
    """Of which it is made one when it is complete."""
    there = "SELECT FROM pg_database WHERE datname = %s AND datistemplate"
    return connection.execute(there, (name,)).fetchone() is not None


def close(connection: psycopg.Connection[Any], name: str) -> None:
    """A template from now on, that nobody connects to."""
    from psycopg import sql

    closed = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false IS_TEMPLATE true")
    connection.execute(closed.format(sql.Identifier(name)))


def comment(connection: psycopg.Connection[Any], name: str, text: str) -> None:
    """``text`` begins with `MARK`."""
    from psycopg import sql

    said = sql.SQL("COMMENT ON DATABASE {} IS {}")
    connection.execute(said.format(sql.Identifier(name), sql.Literal(text)))


def create_schema(connection: psycopg.Connection[Any], name: str) -> None:
    from psycopg import sql

    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))


def drop_schema(connection: psycopg.Connection[Any], name: str) -> None:
    from psycopg import sql

    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


def clone(connection: psycopg.Connection[Any], source: str, name: str) -> None:
    """``name`` as ``source`` is, block by block; nobody may be connected to that."""
    from psycopg import sql

    # The log of a copy is not ours to read, and files are copied faster than pages (CREATE DATABASE, "STRATEGY").
    strategy = " STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
    connection.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {}" + strategy).format(
            sql.Identifier(name), sql.Identifier(source)
        )
    )


def renew(connection: psycopg.Connection[Any], template: str, name: str) -> None:
    """``name`` as ``template`` is, whatever it is now."""
    drop(connection, name)
    clone(connection, template, name)


def keep(connection: psycopg.Connection[Any], source: str, template: str) -> None:
    """``template`` as ``source`` is now, and closed, so that it stays so. Ends all connections to ``source``."""
    drop(connection, template)
    end_sessions(connection, source)
    clone(connection, source, template)
    close(connection, template)


def end_sessions(connection: psycopg.Connection[Any], name: str) -> None:
    wait = ", 5000" if connection.info.server_version >= 140000 else ""
    connection.execute(
        f"SELECT pg_terminate_backend(pid{wait}) FROM pg_stat_activity"
        " WHERE datname = %s AND pid <> pg_backend_pid()",
        (name,),
    )


# Their values are lists of names, which are quoted one by one (GUC_LIST_QUOTE, utils/guc.h).
_LISTS = "'search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries'"
# As they are kept, names in quotes; an empty one has to be given as text.
_ELEMENTS = r"""regexp_replace(value, '(^|, )""(?=, |$)', '\1''''', 'g')"""
_PROPERTIES = f"""WITH d AS (SELECT *, %(name)s::text AS clone FROM pg_database WHERE datname = %(source)s),
s AS (SELECT clone, setrole, split_part(line, '=', 1) AS name, substr(line, strpos(line, '=') + 1) AS value
  FROM d JOIN pg_db_role_setting ON setdatabase = d.oid, unnest(setconfig) line),
a AS (SELECT clone, p.* FROM d, aclexplode(datacl) p)
SELECT format(CASE WHEN setrole = 0 THEN 'ALTER DATABASE %%1$I' ELSE 'ALTER ROLE %%4$s IN DATABASE %%1$I' END || ' SET %%2$s TO %%3$s',
  clone, name, CASE WHEN name IN ({_LISTS}) THEN {_ELEMENTS} ELSE quote_literal(value) END, setrole::regrole) FROM s
UNION ALL SELECT format('REVOKE ALL ON DATABASE %%I FROM PUBLIC, CURRENT_USER', clone) FROM d WHERE datacl IS NOT NULL
UNION ALL SELECT format('GRANT %%s ON DATABASE %%I TO %%s%%s', privilege_type, clone,
  CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END) FROM a
UNION ALL SELECT format('ALTER DATABASE %%I CONNECTION LIMIT %%s', clone, datconnlimit) FROM d WHERE datconnlimit <> -1
UNION ALL SELECT format('COMMENT ON DATABASE %%I IS %%L', clone, said)
  FROM d, shobj_description(d.oid, 'pg_database') said WHERE NOT starts_with(said, '{MARK}')
UNION ALL SELECT format('SECURITY LABEL FOR %%I ON DATABASE %%I IS %%L', l.provider, clone, l.label)
  FROM d JOIN pg_shseclabel l ON l.classoid = 'pg_database'::regclass AND l.objoid = d.oid
UNION ALL SELECT format('ALTER DATABASE %%I OWNER TO %%s', clone, datdba::regrole) FROM d WHERE datdba <> current_user::regrole"""


def properties(connection: psycopg.Connection[Any], source: str, name: str) -> list[str]:
    """Statements that give database ``name``, a clone, what ``source`` has beside its content: CREATE DATABASE does not.

    Settings, privileges, the owner, the limit of connections, comment and labels.
    """
    rows = connection.execute(_PROPERTIES, {"source": source, "name": name}).fetchall()
    return [statement for (statement,) in rows]


def give(connection: psycopg.Connection[Any], properties: Iterable[str]) -> None:
    for statement in properties:
        connection.execute(statement.encode())

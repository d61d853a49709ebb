"""Databases made, cloned and dropped, from another one of the same server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def create(connection: psycopg.Connection[Any], name: str) -> None:
    """``name`` and nothing in it, unless there is one."""
    from psycopg import sql

    if not exists(connection, name):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def exists(connection: psycopg.Connection[Any], name: str) -> bool:
    there = "SELECT FROM pg_database WHERE datname = %s"
    return connection.execute(there, (name,)).fetchone() is not None


def drop(connection: psycopg.Connection[Any], name: str) -> None:
    """Whoever is connected to it."""
    from psycopg import sql

    # A template cannot be dropped.
    connection.execute("UPDATE pg_database SET datistemplate = false WHERE datname = %s", (name,))
    connection.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    )


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


def keep(connection: psycopg.Connection[Any], source: str, template: str) -> None:
    """``template`` as ``source`` is now, and closed, so that it stays so. Ends all connections to ``source``."""
    from psycopg import sql

    drop(connection, template)
    end_sessions(connection, source)
    clone(connection, source, template)
    connection.execute(
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false IS_TEMPLATE true").format(
            sql.Identifier(template)
        )
    )


def end_sessions(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
        (name,),
    )


def properties(connection: psycopg.Connection[Any], name: str) -> tuple[Any, ...]:
    """What a database has beside its content, and its clone has not; empty where it is as it was created."""
    row = connection.execute(
        "SELECT d.datacl::text, nullif(d.datdba, current_user::regrole), nullif(d.datconnlimit, -1),"
        " (SELECT string_agg(s::text, ' ' ORDER BY s::text) FROM pg_db_role_setting s WHERE s.setdatabase = d.oid),"
        " shobj_description(d.oid, 'pg_database'),"
        " (SELECT string_agg(l::text, ' ') FROM pg_shseclabel l WHERE l.classoid = 'pg_database'::regclass AND l.objoid = d.oid)"
        " FROM pg_database d WHERE d.datname = %s",
        (name,),
    ).fetchone()
    return tuple(value for value in row or () if value is not None)

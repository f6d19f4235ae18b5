"""Triggers that renew the versions of data (`models/data_version.py`) when a row changes.

On PostgreSQL they fire when the transaction commits. So a long transaction doesn't keep the
versions locked, and other transactions of the practice wait for the commit alone. The practice's
own version is renewed first: its lock comes before all others, so there is no deadlock over them.
On SQLite, which has one writer, they fire with each statement.
"""

import warnings
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, Inspector, inspect, text
from sqlalchemy.exc import SAWarning

from models.append_only import SAME_ROWID, unique_keys
from models.versioned_tables import VERSIONED, VersionedTable

# The functions of PostgreSQL, for migrations that drop them.
RENEW = "renew_versions(uuid, uuid[])"
RENEW_ALL = "renew_all_versions()"
# The names of a table's triggers on PostgreSQL, without the table's.
ON_POSTGRESQL = ("versions", "emptied")


def renew_on_changes(conn: Connection, table: str) -> None:
    """Create the triggers of a table that has versions."""
    for statement in statements(conn, table):
        conn.exec_driver_sql(statement)


def create_missing_triggers(conn: Connection) -> list[str]:
    """Create the triggers that are missing, disabled or not those of this release, and return their
    tables.

    Changes may have been missed, so all versions are renewed then.
    """
    tables = missing_triggers(conn)
    for table in tables:
        for trigger in triggers(conn, table):
            conn.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger}")
        renew_on_changes(conn, table)
    if tables:
        fresh = RANDOM if conn.dialect.name == "sqlite" else "gen_random_uuid()::text"
        conn.exec_driver_sql(f"UPDATE data_version SET version = {fresh}")  # noqa: S608 - a function
    return tables


def triggers(conn: Connection, table: str) -> list[str]:
    """Return the triggers of a table, as DROP TRIGGER names them."""
    if conn.dialect.name == "sqlite":
        changes = (*CHANGED_ROWS, *(f"replaced_by_{change}" for change in REPLACING))
        return [f"{table}_version_{change.lower()}" for change in changes]
    return [f"{table}_{name} ON {table}" for name in ON_POSTGRESQL]


def statements(conn: Connection, table: str) -> Iterator[str]:
    """Yield the statements that create the triggers of a table; none, if it has no versions."""
    if versioned := VERSIONED.get(table):
        if conn.dialect.name == "sqlite":
            yield from on_sqlite(table, versioned, inspect(conn))
        else:
            yield from on_postgresql(table, versioned)


def missing_triggers(conn: Connection) -> list[str]:
    """Return the tables whose triggers are missing, disabled or not those of this release.

    A table that an earlier revision lacks is not among them.
    """
    tables = [table for table in inspect(conn).get_table_names() if table in VERSIONED]
    if conn.dialect.name == "sqlite":
        there = set(conn.scalars(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")))
        return [table for table in tables if not there.issuperset(statements(conn, table))]
    shared = {"renewing": RENEW_BODY, "renewing_all": RENEW_ALL_BODY}
    rows = conn.execute(WHOLE_TRIGGERS, {"names": tables, **shared})
    whole = {row.name: row.body for row in rows}
    return [table for table in tables if whole.get(table) != body(VERSIONED[table])]


# -- PostgreSQL ------------------------------------------------------------------------------------

# The version that the transaction itself has written is as good as another one. Two columns tell:
# a number of a transaction may come again in a restored database, and xmin after 2^32 of them.
# A setting, which ends with the transaction, has the parts of the last rows: their versions need
# no look-up. It is what a transaction of many rows saves most of its time by.
NOTED = "portal.renewed"
# Characters: a few rows. A longer text takes longer to search than the look-up of a version.
MOST_NOTED = 400
RENEW_BODY = f"""
DECLARE
    this xid8 := pg_current_xact_id();
    noted text := current_setting('{NOTED}', true);
    one uuid;
BEGIN
    FOREACH one IN ARRAY practice || parts LOOP
        CONTINUE WHEN one IS NULL OR EXISTS (
            SELECT FROM data_version AS known
            WHERE known.practice_id = practice AND known.part = one
                AND known.renewed_in = this::text::bigint AND known.xmin = this::xid
        );
        INSERT INTO data_version (practice_id, part, version, renewed_in)
        VALUES (practice, one, gen_random_uuid()::text, this::text::bigint)
        ON CONFLICT (practice_id, part)
        DO UPDATE SET version = excluded.version, renewed_in = excluded.renewed_in;
    END LOOP;
    IF length(noted) > {MOST_NOTED} OR starts_with(noted, this::text || ' ') IS NOT TRUE THEN
        noted := this::text || ' ';
    END IF;
    PERFORM set_config('{NOTED}', noted || practice || parts::text, true);
END
"""  # noqa: S608 - numbers and names of this module
RENEW_ALL_BODY = """
BEGIN
    UPDATE data_version SET version = gen_random_uuid()::text;
    RETURN NULL;
END
"""
# A trigger's type is a sum: 1 for each row, 4 for INSERT, 8 for DELETE, 16 for UPDATE, 32 for
# TRUNCATE.
WHOLE_TRIGGERS = text(
    """
    SELECT wanted AS name, changes.prosrc AS body
    FROM unnest(CAST(:names AS text[])) AS wanted
    JOIN pg_trigger AS each ON each.tgrelid = to_regclass(wanted)
        AND each.tgname = wanted || '_versions' AND each.tgenabled = 'A' AND each.tgtype = 29
        AND each.tgqual IS NULL AND each.tgdeferrable AND each.tginitdeferred
    JOIN pg_proc AS changes ON changes.oid = each.tgfoid
    JOIN pg_trigger AS whole ON whole.tgrelid = to_regclass(wanted)
        AND whole.tgname = wanted || '_emptied' AND whole.tgenabled = 'A' AND whole.tgtype = 32
    JOIN pg_proc AS emptying ON emptying.oid = whole.tgfoid AND emptying.prosrc = :renewing_all
    JOIN pg_proc AS renewing ON renewing.oid = to_regproc('renew_versions')
        AND renewing.prosrc = :renewing
    """
)


def on_postgresql(table: str, versioned: VersionedTable) -> Iterator[str]:
    yield function("renew_versions(practice uuid, parts uuid[])", "void", RENEW_BODY)
    yield function(RENEW_ALL, "trigger", RENEW_ALL_BODY)
    yield function(f"{table}_changed()", "trigger", body(versioned))
    yield (
        f"CREATE CONSTRAINT TRIGGER {table}_versions AFTER INSERT OR UPDATE OR DELETE ON {table}"
        f" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {table}_changed()"
    )
    yield (
        f"CREATE TRIGGER {table}_emptied AFTER TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {RENEW_ALL}"
    )
    # The triggers also fire in a session that a superuser has set to replicate.
    for trigger in ON_POSTGRESQL:
        yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{trigger}"


def function(signature: str, returns: str, source: str) -> str:
    """Return the statement that makes a function, which finds the tables whoever calls it."""
    return (
        f"CREATE OR REPLACE FUNCTION {signature} RETURNS {returns} LANGUAGE plpgsql"
        f" SET search_path FROM CURRENT AS $${source}$$"
    )


def body(versioned: VersionedTable) -> str:
    """Return the body of a table's trigger function."""
    unseen = f"'{{{','.join(versioned.unseen)}}}'::text[]"
    same = (
        f"    IF TG_OP = 'UPDATE' AND to_jsonb(OLD) - {unseen} = to_jsonb(NEW) - {unseen} THEN\n"
        "        RETURN NULL;\n    END IF;\n"
    )
    renewals = "".join(
        f"    IF TG_OP <> '{other}' AND ({of_row(versioned.when, row)}) THEN\n"
        f"        parts := ARRAY[{of_row(', '.join(versioned.parts), row)}]::uuid[];\n"
        f"        IF strpos(noted, {row}.{versioned.practice} || parts::text) = 0 THEN\n"
        f"            PERFORM renew_versions({row}.{versioned.practice}, parts);\n"
        "        END IF;\n    END IF;\n"
        for other, row in (("DELETE", "NEW"), ("INSERT", "OLD"))
    )
    declared = (
        f"\nDECLARE\n    noted text := coalesce(current_setting('{NOTED}', true), '');\n"
        "    parts uuid[];\nBEGIN\n"
        "    IF NOT starts_with(noted, pg_current_xact_id() || ' ') THEN\n"
        "        noted := '';\n    END IF;\n"
    )
    return f"{declared}{same if versioned.unseen else ''}{renewals}    RETURN NULL;\nEND\n"


def of_row(sql: str, row: str) -> str:
    """Return an expression over a row of a trigger."""
    return sql.replace("ROW.", f"{row}.")


# -- SQLite ----------------------------------------------------------------------------------------

RANDOM = "lower(hex(randomblob(16)))"
CHANGED_ROWS: Mapping[str, tuple[str, ...]] = {
    "INSERT": ("NEW",),
    "UPDATE": ("OLD", "NEW"),
    "DELETE": ("OLD",),
}
# The changes by which OR REPLACE may remove other rows, and the condition of those rows.
REPLACING: Mapping[str, str] = {"INSERT": "TRUE", "UPDATE": "rowid <> OLD.rowid"}


def on_sqlite(table: str, versioned: VersionedTable, inspector: Inspector) -> Iterator[str]:
    names = [column["name"] for column in inspector.get_columns(table)]
    seen = ", ".join(sorted(set(names).difference(versioned.unseen)))
    for change, rows in CHANGED_ROWS.items():
        which = f"UPDATE OF {seen}" if change == "UPDATE" and versioned.unseen else change
        renewals = " ".join(renewal(row, versioned) for row in rows)
        yield (
            f"CREATE TRIGGER {table}_version_{change.lower()} AFTER {which} ON {table}"
            f" FOR EACH ROW BEGIN {renewals} END"
        )
    with warnings.catch_warnings():
        # Indexes over expressions are not read; none of them is unique.
        warnings.simplefilter("ignore", SAWarning)
        keys = sorted(key.matches(names) for key in unique_keys(inspector, table))
    for change, other in REPLACING.items():
        taken = f"{other} AND ({' OR '.join([SAME_ROWID, *keys])})"
        yield (
            f"CREATE TRIGGER {table}_version_replaced_by_{change.lower()} BEFORE {change}"  # noqa: S608
            f" ON {table} FOR EACH ROW WHEN EXISTS (SELECT 1 FROM {table} WHERE {taken})"
            f" BEGIN {replacement(table, versioned, taken)} END"
        )


def replacement(table: str, versioned: VersionedTable, taken: str) -> str:
    """Return the statement that renews the versions of rows that OR REPLACE would remove.

    Their removal fires no trigger. `taken` selects the rows with a key of the new one.
    """
    practice, when = f"{table}.{versioned.practice}", of_row(versioned.when, table)
    parts = [practice, *(of_row(part, table) for part in versioned.parts)]
    rows = " UNION ".join(
        f"SELECT {practice}, {part} FROM {table} WHERE {taken} AND ({when})"  # noqa: S608 - names
        for part in parts
    )
    return f"UPDATE data_version SET version = {RANDOM} WHERE (practice_id, part) IN ({rows});"  # noqa: S608


def renewal(row: str, versioned: VersionedTable) -> str:
    """Return the statements that renew the versions of a row's parts.

    Neither meets a conflict, so an OR REPLACE or OR IGNORE of the statement changes nothing.
    """
    practice, when = f"{row}.{versioned.practice}", of_row(versioned.when, row)
    parts = [practice, *(of_row(part, row) for part in versioned.parts)]
    wanted = " UNION ".join(f"SELECT {part} AS part" for part in parts)
    return (
        f"UPDATE data_version SET version = {RANDOM}"  # noqa: S608 - names
        f" WHERE practice_id = {practice} AND part IN ({', '.join(parts)}) AND ({when});"
        f" INSERT INTO data_version (practice_id, part, version) SELECT {practice}, part, {RANDOM}"
        f" FROM ({wanted}) AS wanted WHERE part IS NOT NULL AND ({when}) AND NOT EXISTS"
        f" (SELECT 1 FROM data_version AS known"
        f" WHERE known.practice_id = {practice} AND known.part = wanted.part);"
    )

"""The role of PostgreSQL that the server works by: whether row-level security holds for it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row as Found
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models import Row
from models.database import UnfitDatabase
from models.row_security import NEVER, POLICY, confined, rights

# Attributes of roles that policies and grants do not hold for.
ATTRIBUTES = {
    "rolsuper": "is a superuser",
    "rolbypassrls": "has BYPASSRLS",
    "rolcreaterole": "has CREATEROLE",
    "rolreplication": "has REPLICATION",
}
# The role first, then those that it may become by SET ROLE, whether it inherits from them or not.
ROLES = text(
    f"""
    SELECT rolname AS name, rolname = current_user AS is_own, {", ".join(ATTRIBUTES)}
    FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')
    ORDER BY rolname <> current_user, rolname
    """  # noqa: S608 - of constants
)
TABLES = text(
    """
    SELECT relname AS name, pg_get_userbyid(relowner) AS owner, nspname AS schema,
        pg_has_role(current_user, relowner, 'MEMBER') AS is_owned,
        pg_has_role(current_user, nspowner, 'MEMBER')
            OR pg_has_role(current_user, datdba, 'MEMBER') AS is_schema_owned,
        relrowsecurity AS is_secured,
        ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = pg_class.oid) AS policies,
        ARRAY(
            SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
            WHERE has_table_privilege(pg_class.oid, privilege)
        ) AS may,
        has_table_privilege(pg_class.oid, :never)
            OR has_any_column_privilege(pg_class.oid, 'UPDATE') AS may_alter
    FROM unnest(CAST(:names AS text[])) AS wanted
        JOIN pg_class ON pg_class.oid = to_regclass(wanted)
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        JOIN pg_database ON datname = current_database()
    ORDER BY relname
    """
)
HOW = "docs/databases.md says how to make a role that serves"


async def refuse_unfit_role(engine: AsyncEngine) -> None:
    """Raise UnfitDatabase if the engine's role may see or change more than a server needs.

    Tables that do not exist are not checked here.
    """
    if faults := await role_faults(engine):
        raise UnfitDatabase(faults[0])


async def role_faults(engine: AsyncEngine) -> list[str]:
    """Return the reasons why the engine's role cannot serve, as sentences."""
    if engine.dialect.name != "postgresql":
        return []
    async with engine.connect() as conn:
        return [*refusals(await roles(conn), await tables(conn))]


async def roles(conn: AsyncConnection) -> list[Found[Any]]:
    """Return the role of a connection, and then the roles that it is a member of."""
    return [*(await conn.execute(ROLES)).all()]


async def tables(conn: AsyncConnection) -> list[Found[Any]]:
    """Return what the role of a connection may do with each table, and each table's policies."""
    given = {"names": [*rights(Row.metadata)], "never": NEVER}
    return [*(await conn.execute(TABLES, given)).all()]


def refusals(roles: list[Found[Any]], tables: list[Found[Any]]) -> Iterator[str]:
    """Give the reasons why a role cannot serve, as sentences."""
    named = f"DATABASE_URL names the role {roles[0].name}, which"
    for role in roles:
        yield from role_refusals(role, named)
    for table in tables:
        yield from owner_refusals(table, roles[0].name, named)
        yield from policy_refusals(table)
        yield from grant_refusals(table, named)


def role_refusals(role: Found[Any], named: str) -> Iterator[str]:
    """Give the reasons that are attributes of a role."""
    member = "" if role.is_own else f" is a member of {role.name}, which"
    for attribute, words in ATTRIBUTES.items():
        if role._mapping[attribute]:
            yield f"{named}{member} {words}: no row of any practice is kept from it. {HOW}."


def owner_refusals(table: Found[Any], role: str, named: str) -> Iterator[str]:
    """Give the reasons that a role owns a table, or what the table is in."""
    if table.is_owned:
        owns = "owns" if table.owner == role else f"is a member of {table.owner}, which owns"
        yield f"{named} {owns} the table {table.name}: its policies don't hold for it. {HOW}."
    if table.is_schema_owned:
        yield (
            f"{named} owns the schema {table.schema} or its database, or is a member of the owner:"
            f" it may drop the audit log. {HOW}."
        )


def policy_refusals(table: Found[Any]) -> Iterator[str]:
    """Give the reason that a table lacks its policy of row-level security, or has another one."""
    secured = {table.name for table in confined(Row.metadata)}
    if table.name in secured and not (table.is_secured and table.policies == [POLICY]):
        yield (
            f"The table {table.name} has not just its policy {POLICY} of row-level security,"
            " which keeps practices apart: docs/databases.md says what it is."
        )


def grant_refusals(table: Found[Any], named: str) -> Iterator[str]:
    """Give the reasons that a role lacks a right to a table, or has one too many."""
    needed = rights(Row.metadata)[table.name]
    if lacking := needed - set(table.may):
        yield (
            f"{named} lacks {', '.join(sorted(lacking))} on the table {table.name}:"
            f" run `portal migrate` with DATABASE_OWNER_URL, which grants it. {HOW}."
        )
    if "UPDATE" not in needed and table.may_alter:
        yield (
            f"{named} may change rows of {table.name}, to which it is only to add."
            f" Revoke that from the role, and from PUBLIC. {HOW}."
        )

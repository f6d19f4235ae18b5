"""The role of PostgreSQL that the server works by: whether row-level security holds for it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row as Found
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models import Row
from models.database import UnfitDatabase
from models.row_security import NEVER, POLICY, confined, rights

ROLE = text(
    "SELECT rolname AS name, rolsuper, rolbypassrls, rolcreaterole"
    " FROM pg_roles WHERE rolname = current_user"
)
TABLES = text(
    """
    SELECT relname AS name, pg_get_userbyid(relowner) AS owner,
        pg_has_role(current_user, relowner, 'MEMBER') AS is_owned,
        relrowsecurity AS is_secured,
        ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = pg_class.oid) AS policies,
        ARRAY(
            SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
            WHERE has_table_privilege(pg_class.oid, privilege)
        ) AS may,
        has_table_privilege(pg_class.oid, :never)
            OR has_any_column_privilege(pg_class.oid, 'UPDATE') AS may_alter
    FROM unnest(CAST(:names AS text[])) AS wanted JOIN pg_class ON oid = to_regclass(wanted)
    ORDER BY relname
    """
)
ROLES = "docs/databases.md says how to make a role that serves"


async def refuse_unfit_role(engine: AsyncEngine) -> None:
    """Raise UnfitDatabase where the engine's role is not held to the rows that it is to see.

    Tables that are not there are no matter of this.
    """
    if engine.dialect.name != "postgresql":
        return
    async with engine.connect() as conn:
        reason = next(refusals(await role(conn), await tables(conn)), None)
    if reason is not None:
        raise UnfitDatabase(reason)


async def role(conn: AsyncConnection) -> Found[Any]:
    return (await conn.execute(ROLE)).one()


async def tables(conn: AsyncConnection) -> list[Found[Any]]:
    given = {"names": [*rights(Row.metadata)], "never": NEVER}
    return [*(await conn.execute(TABLES, given)).all()]


def refusals(role: Found[Any], tables: list[Found[Any]]) -> Iterator[str]:
    """Give the reasons why a role cannot serve, as sentences."""
    named = f"DATABASE_URL names the role {role.name}, which"
    for is_so, words in (
        (role.rolsuper, "is a superuser"),
        (role.rolbypassrls, "has BYPASSRLS"),
        (role.rolcreaterole, "has CREATEROLE"),
    ):
        if is_so:
            yield f"{named} {words}: no row of any practice is kept from it. {ROLES}."
    needed, secured = rights(Row.metadata), {table.name for table in confined(Row.metadata)}
    for table in tables:
        if table.is_owned:
            member = f"is a member of {table.owner}, which owns"
            how = "owns" if table.owner == role.name else member
            yield f"{named} {how} the table {table.name}: its policies don't hold for it. {ROLES}."
        if table.name in secured and not (table.is_secured and table.policies == [POLICY]):
            yield (
                f"The table {table.name} has not just its policy {POLICY} of row-level security,"
                " which keeps practices apart: docs/databases.md says what it is."
            )
        if lacking := needed[table.name] - set(table.may):
            yield (
                f"{named} lacks {', '.join(sorted(lacking))} on the table {table.name}:"
                f" run `portal migrate` with DATABASE_OWNER_URL, which grants it. {ROLES}."
            )
        if "UPDATE" not in needed[table.name] and table.may_alter:
            yield (
                f"{named} may change rows of {table.name}, to which it is only to add."
                f" Revoke that from the role, and from PUBLIC. {ROLES}."
            )

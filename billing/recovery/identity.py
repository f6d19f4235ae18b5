"""The database's identity: a stored one that is copied by a backup, and an actual one that is not.

On PostgreSQL the actual identity consists of the cluster, the database, and the table that stores
it. Each restore of a dump creates at least one of them again. An SQLite file has no identity of its
own, so `portal backup` writes another one into the copy.
"""

from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models import Installation
from models.ids import new_id
from models.upsert import insert_into

ON_SQLITE = "sqlite"
ON_POSTGRES = text(
    "SELECT concat_ws('/', (SELECT oid FROM pg_database WHERE datname = current_database()),"
    " to_regclass('installation')::oid)"
)
# A hosted server may not tell roles its cluster.
TELLS_CLUSTER = text("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
CLUSTER = text("SELECT system_identifier::text FROM pg_control_system()")


@dataclass(frozen=True)
class Identity:
    """The identity that the rows were served under, and that of the database they are in now."""

    stored: str
    actual: str

    @property
    def is_restored(self) -> bool:
        return self.stored != self.actual


async def actual_identity(conn: AsyncConnection) -> str:
    if conn.dialect.name == "sqlite":
        return ON_SQLITE
    found: str = (await conn.execute(ON_POSTGRES)).scalar_one()
    if not (await conn.execute(TELLS_CLUSTER)).scalar_one():
        return found
    return f"{(await conn.execute(CLUSTER)).scalar_one()}/{found}"


async def read_identity(conn: AsyncConnection) -> Identity:
    """Return the database's identity. One that was never stored is the actual one."""
    actual = await actual_identity(conn)
    stored: str | None = await conn.scalar(select(Installation.identity))
    return Identity(stored or actual, actual)


async def store_identity(engine: AsyncEngine) -> None:
    """Store the actual identity in a database that has none yet."""
    async with engine.begin() as conn:
        row = insert_into(conn, Installation).values(id=1, identity=await actual_identity(conn))
        await conn.execute(row.on_conflict_do_nothing())


async def accept_identity(conn: AsyncConnection, identity: Identity) -> None:
    """Store the actual identity: the rows are those of this database from now on."""
    row = insert_into(conn, Installation).values(id=1, identity=identity.actual)
    by_id = {"index_elements": ["id"], "set_": {"identity": identity.actual}}
    await conn.execute(row.on_conflict_do_update(**by_id))


def backup_identity() -> str:
    """Return the identity of a new backup of an SQLite file."""
    return f"backup {new_id()}"

"""The demo's letterheads: a logo, and tax ids encrypted with the demo's own key."""

import datetime as dt

from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.encryption import FieldKeys
from demo.office import FOUNDED_DAYS_AGO
from models import Letterhead, Logo, Practice

# Two leaves on one stem.
LOGO = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48" width="48" height="48">
<circle cx="24" cy="24" r="24" fill="#0b6b5d"/>
<path d="M24 42V22" stroke="#fff" stroke-width="2.5" stroke-linecap="round"/>
<path d="M24 27C12 27 9 19 9 11c9 0 15 5 15 16z" fill="#fff"/>
<path d="M24 33c12 0 15-8 15-15-9 0-15 5-15 15z" fill="#bfe0da"/>
</svg>
"""


async def dress(engine: AsyncEngine, keys: FieldKeys, today: dt.date) -> None:
    """Give each practice a logo, and each letterhead a tax id with its stored last digits."""
    columns = Letterhead.practice_id, Letterhead.id, Letterhead.tax_id_last4
    async with engine.begin() as conn:
        for (practice,) in (await conn.execute(select(Practice.id))).all():
            since = today - dt.timedelta(FOUNDED_DAYS_AGO)
            await conn.execute(insert(Logo).values(practice_id=practice, since=since, content=LOGO))
        for practice, id_, last4 in (await conn.execute(select(*columns))).all():
            condition = and_(Letterhead.practice_id == practice, Letterhead.id == id_)
            whole = keys.encrypted(f"00-000{last4}")
            await conn.execute(update(Letterhead).where(condition).values(tax_id_encrypted=whole))

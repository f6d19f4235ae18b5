"""The books of `portal demo`: each statement equals the account history and `balance(asOf:)` on its
last day, and aging and revenue are sums of the ledger.
"""

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import demo
from identity.tokens import Subject
from models import READ_SCOPES
from tests.demo.worlds import TODAY
from tests.support import shares
from tests.support.book_sums import Books
from tests.support.portal import served

# One client in so many is compared, and one day.
EACH = shares.number(1, quick=8)
NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
CLIENTS = """SELECT client_id, COUNT(*) AS statements FROM statement
 WHERE practice_id = :practice GROUP BY client_id ORDER BY client_id"""


async def test_statements_and_reports_of_the_demo_are_sums_of_its_ledger(
    new_database: NewDatabase,
) -> None:
    async with new_database() as url, served(url) as portal:
        people = await demo.load(portal.engine, TODAY)
        # The same day in the zones of both practices.
        portal.clock.time = dt.datetime.combine(TODAY, dt.time(12), dt.UTC)
        for practice_id in (people.practice_id, people.other_practice_id):
            token = await portal.token(Subject(practice_id), scopes=READ_SCOPES)
            books = Books(portal.http, portal.engine, practice_id, token, TODAY)
            clients = await books.select(CLIENTS, practice=practice_id)
            assert sum(client.statements for client in clients) > 50
            for client in clients[::EACH]:
                assert await books.check_statements(client.client_id) == client.statements
            await books.check_reports(
                {TODAY - dt.timedelta(days) for days in range(0, 200, 20 * EACH)}
            )

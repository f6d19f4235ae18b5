"""References between rows, on both databases, after the migrations."""

import uuid

import pytest
from sqlalchemy import (
    ForeignKeyConstraint,
    delete,
)

from models import (
    Invoice,
    LedgerEntry,
    Payment,
    Row,
)
from tests.database.constraints.refusals import refused
from tests.support.factories import (
    DEFAULTS,
    Books,
    all_links,
    link_column,
    referred,
)

Link = tuple[type[Row], ForeignKeyConstraint]


def name_of(link: Link) -> str:
    return f"{link[0].__tablename__}.{link_column(link[1])}"


LINKS: list[Link] = [
    (row, link) for row in DEFAULTS for link in all_links(row) if len(link.elements) > 1
]


@pytest.mark.share(4)
@pytest.mark.parametrize(("row", "link"), LINKS, ids=map(name_of, LINKS))
async def test_row_can_not_refer_to_another_practice(
    books: Books, row: type[Row], link: ForeignKeyConstraint
) -> None:
    elsewhere = await Books.opened(books.connection)
    await elsewhere.fill()
    await books.fill(until=row)
    if link.referred_table.name == row.__tablename__:
        await books.add(row, **books.links(row))
    async with refused(books, "FOREIGN KEY", f"fk_{row.__tablename__}_practice_id_"):
        await books.add(row, **books.links(row, link, elsewhere))
    await books.add(row, **books.links(row, link, books))


@pytest.mark.parametrize("row", [Payment, LedgerEntry])
async def test_row_without_other_references_has_a_client_of_the_practice(
    books: Books, row: type[Row]
) -> None:
    elsewhere = await Books.opened(books.connection)
    async with refused(books, "FOREIGN KEY", f"fk_{row.__tablename__}_practice_id_client_id"):
        await books.add(row, client_id=await elsewhere.client())


WITHIN_CLIENT = [link for link in LINKS if "client_id" in link[1].column_keys[:-1]]


@pytest.mark.parametrize(("row", "link"), WITHIN_CLIENT, ids=map(name_of, WITHIN_CLIENT))
async def test_row_can_not_refer_to_another_clients_row(
    books: Books, row: type[Row], link: ForeignKeyConstraint
) -> None:
    another = books.beside()
    await another.fill(until=row)
    await books.fill(until=row)
    async with refused(books, "FOREIGN KEY", str(link.name)):
        await books.add(row, **books.links(row, link, another))
    await books.add(row, **books.links(row, link, books))


def test_every_reference_to_an_invoice_payment_or_card_is_within_the_client() -> None:
    kept = {"invoice", "payment", "payment_method"}
    loose = [link for link in LINKS if link not in WITHIN_CLIENT]
    # A line has no client column: it belongs to its invoice. A contact may pay for a client with a
    # card that was saved for another.
    assert [name_of(link) for link in loose if referred(link[1]) in kept] == [
        "invoice_line.invoice_id",
        "payment.payment_method_id",
    ]


OF_PRACTICE = [row for row in DEFAULTS if "practice" in map(referred, all_links(row))]


@pytest.mark.parametrize("row", OF_PRACTICE)
async def test_row_belongs_to_an_existing_practice(books: Books, row: type[Row]) -> None:
    nowhere = Books(books.connection, str(uuid.uuid4()))
    async with refused(books, "FOREIGN KEY", f"fk_{row.__tablename__}_practice_id"):
        await nowhere.add(row)


async def test_referenced_row_can_not_be_deleted(every_row: Books) -> None:
    assert {link.ondelete for _, link in LINKS} == {"RESTRICT"}
    async with refused(every_row, "FOREIGN KEY", "fk_invoice_line"):
        await every_row.connection.execute(
            delete(Invoice).where(Invoice.id == await every_row.invoice_with_a_line())
        )


# The database's identity, the inbox of webhooks and the requests to sign in belong to no practice,
# and refer to nothing.
NOBODYS = {"installation", "stripe_event", "sign_in_limit", "sign_in_request"}


def test_every_table_is_tested() -> None:
    assert {row.__tablename__ for row in DEFAULTS} == set(Row.metadata.tables) - NOBODYS

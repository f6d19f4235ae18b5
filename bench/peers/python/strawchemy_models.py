"""The views as SQLAlchemy's models, for strawchemy."""

import datetime as dt
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Client(Base):
    __tablename__ = "client"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    practice_id: Mapped[UUID]
    name: Mapped[str]
    balance_minor: Mapped[int]
    pool: Mapped[int]
    invoiced: Mapped[int]
    refunded: Mapped[int]
    taken_back: Mapped[int]
    written_off: Mapped[int]
    adjusted: Mapped[int]
    allocated: Mapped[int]
    disputed: Mapped[int]
    is_paying: Mapped[bool]
    invoices: Mapped[list["Invoice"]] = relationship(back_populates="client")
    statements: Mapped[list["Statement"]] = relationship()
    superbills: Mapped[list["Superbill"]] = relationship()
    account_history: Mapped[list["AccountHistoryEntry"]] = relationship()
    payment_methods: Mapped[list["PaymentMethod"]] = relationship()


class Invoice(Base):
    __tablename__ = "invoice"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    practice_id: Mapped[UUID]
    client_id: Mapped[UUID] = mapped_column(ForeignKey(Client.id))
    number: Mapped[str]
    serial: Mapped[int]
    issued_on: Mapped[dt.date]
    due_on: Mapped[dt.date | None]
    total_minor: Mapped[int]
    due_minor: Mapped[int]
    is_void: Mapped[bool]
    status: Mapped[str]
    shared_at: Mapped[dt.datetime | None]
    client: Mapped[Client] = relationship(back_populates="invoices")
    payments: Mapped[list["InvoicePayment"]] = relationship()


class InvoicePayment(Base):
    __tablename__ = "invoice_payment"

    invoice_id: Mapped[UUID] = mapped_column(ForeignKey(Invoice.id), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    practice_id: Mapped[UUID]
    amount_minor: Mapped[int]
    created_on: Mapped[dt.date]
    status: Mapped[str]
    allocations: Mapped[list["PaymentAllocation"]] = relationship(
        primaryjoin="InvoicePayment.id == foreign(PaymentAllocation.payment_id)", viewonly=True
    )


class PaymentAllocation(Base):
    __tablename__ = "payment_allocation"

    payment_id: Mapped[UUID] = mapped_column(primary_key=True)
    invoice_id: Mapped[UUID] = mapped_column(ForeignKey(Invoice.id), primary_key=True)
    practice_id: Mapped[UUID]
    serial: Mapped[int]
    shared_at: Mapped[dt.datetime | None]
    amount_minor: Mapped[int]
    invoice: Mapped[Invoice] = relationship()


class Statement(Base):
    __tablename__ = "statement"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    practice_id: Mapped[UUID]
    client_id: Mapped[UUID] = mapped_column(ForeignKey(Client.id))
    number: Mapped[str]
    serial: Mapped[int]
    issued_on: Mapped[dt.date]
    period_start: Mapped[dt.date]
    period_end: Mapped[dt.date]
    ending_minor: Mapped[int]
    shared_at: Mapped[dt.datetime | None]


class Superbill(Base):
    __tablename__ = "superbill"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    practice_id: Mapped[UUID]
    client_id: Mapped[UUID] = mapped_column(ForeignKey(Client.id))
    number: Mapped[str]
    serial: Mapped[int]
    issued_on: Mapped[dt.date]
    period_start: Mapped[dt.date]
    period_end: Mapped[dt.date]
    fee_minor: Mapped[int]
    shared_at: Mapped[dt.datetime | None]


class AccountHistoryEntry(Base):
    __tablename__ = "account_history_entry"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    practice_id: Mapped[UUID]
    client_id: Mapped[UUID] = mapped_column(ForeignKey(Client.id))
    date: Mapped[dt.date]
    kind: Mapped[str]
    description: Mapped[str]
    amount_minor: Mapped[int]
    status: Mapped[str | None]
    balance_after_minor: Mapped[int]


class PaymentMethod(Base):
    __tablename__ = "payment_method"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    practice_id: Mapped[UUID]
    client_id: Mapped[UUID] = mapped_column(ForeignKey(Client.id))
    brand: Mapped[str]
    last4: Mapped[str]
    exp_month: Mapped[int]
    exp_year: Mapped[int]
    is_default: Mapped[bool]
    added_at: Mapped[dt.datetime]

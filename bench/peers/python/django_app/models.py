"""The views as Django's models, for strawberry-django. Each lists its newest rows first."""

from django.db import models


class Row(models.Model):
    """A row of a view, which Django neither makes nor changes."""

    id = models.UUIDField(primary_key=True)
    practice_id = models.UUIDField()

    class Meta:
        abstract = True


class Client(Row):
    name = models.TextField()
    balance_minor = models.BigIntegerField()
    pool = models.BigIntegerField()
    invoiced = models.BigIntegerField()
    refunded = models.BigIntegerField()
    taken_back = models.BigIntegerField()
    written_off = models.BigIntegerField()
    adjusted = models.BigIntegerField()
    allocated = models.BigIntegerField()
    disputed = models.BigIntegerField()
    is_paying = models.BooleanField()

    class Meta:
        managed, db_table = False, "client"


def of_client(related_name: str) -> models.ForeignKey:
    return models.ForeignKey(Client, models.DO_NOTHING, related_name=related_name)


class Invoice(Row):
    client = of_client("invoices")
    number = models.TextField()
    serial = models.BigIntegerField()
    issued_on = models.DateField()
    due_on = models.DateField(null=True)
    total_minor = models.BigIntegerField()
    due_minor = models.BigIntegerField()
    is_void = models.BooleanField()
    status = models.TextField()
    shared_at = models.DateTimeField(null=True)

    class Meta:
        managed, db_table = False, "invoice"
        ordering = ("-issued_on", "-serial")


class InvoicePayment(Row):
    """A payment of an invoice. The row of a payment is there for each of its invoices."""

    invoice = models.ForeignKey(Invoice, models.DO_NOTHING, related_name="payments")
    amount_minor = models.BigIntegerField()
    created_on = models.DateField()
    status = models.TextField()

    class Meta:
        managed, db_table = False, "invoice_payment"
        ordering = ("-created_on", "-id")


class PaymentAllocation(models.Model):
    # The view has no column of its own for a key, and no row is found by one.
    serial = models.BigIntegerField(primary_key=True)
    invoice = models.ForeignKey(Invoice, models.DO_NOTHING, related_name="allocations")
    payment = models.ForeignKey(InvoicePayment, models.DO_NOTHING, related_name="allocations")
    practice_id = models.UUIDField()
    shared_at = models.DateTimeField(null=True)
    amount_minor = models.BigIntegerField()

    class Meta:
        managed, db_table = False, "payment_allocation"
        ordering = ("serial",)


class Statement(Row):
    client = of_client("statements")
    number = models.TextField()
    serial = models.BigIntegerField()
    issued_on = models.DateField()
    period_start = models.DateField()
    period_end = models.DateField()
    ending_minor = models.BigIntegerField()
    shared_at = models.DateTimeField(null=True)

    class Meta:
        managed, db_table = False, "statement"
        ordering = ("-issued_on", "-serial")


class Superbill(Row):
    client = of_client("superbills")
    number = models.TextField()
    serial = models.BigIntegerField()
    issued_on = models.DateField()
    period_start = models.DateField()
    period_end = models.DateField()
    fee_minor = models.BigIntegerField()
    shared_at = models.DateTimeField(null=True)

    class Meta:
        managed, db_table = False, "superbill"
        ordering = ("-issued_on", "-serial")


class AccountHistoryEntry(Row):
    client = of_client("account_history")
    date = models.DateField()
    kind = models.TextField()
    description = models.TextField()
    amount_minor = models.BigIntegerField()
    status = models.TextField(null=True)
    balance_after_minor = models.BigIntegerField()

    class Meta:
        managed, db_table = False, "account_history_entry"
        ordering = ("-date", "-id")


class PaymentMethod(Row):
    client = of_client("payment_methods")
    brand = models.TextField()
    last4 = models.TextField()
    exp_month = models.IntegerField()
    exp_year = models.IntegerField()
    is_default = models.BooleanField()
    added_at = models.DateTimeField()

    class Meta:
        managed, db_table = False, "payment_method"
        ordering = ("-is_default", "-added_at", "-id")

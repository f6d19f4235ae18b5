"""The commands `portal payment`: payments outside the portal, and payments that got stuck."""

from typing import Annotated, Literal

import typer

from server.cli.console import print_id, run, settings_from_environment
from server.cli.fields import SOURCE, Day, External, Json, Source

app = typer.Typer(
    no_args_is_help=True,
    help="Record payments and refunds made outside the portal, and end stuck payments.",
)

# The names of the ways to pay outside the portal, which are not imported for `--help`.
MethodName = Literal["CASH", "CHECK", "BANK_TRANSFER", "CARD", "INSURANCE", "OTHER"]


@app.command("record")
def record(
    client: Annotated[str, typer.Argument(help="The client: cli_…")],
    amount: Annotated[str, typer.Option(help="The amount, as 12.50.")],
    method: Annotated[MethodName, typer.Option(help="How it was paid.")],
    paid_on: Day = None,
    invoice: Annotated[
        str | None,
        typer.Option(help="The invoice that is paid, by number or inv_… (default: the oldest)."),
    ] = None,
    payer: Annotated[
        str | None, typer.Option(help="Who paid, if not the client, as the insurance's name.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="The payer's own number, as that of the check.")
    ] = None,
    external_id: External = None,
    source: Source = SOURCE,
    json: Json = False,
) -> None:
    """Record a payment that was made outside the portal. Print its id.

    It pays the oldest invoices first. What is left is unused credit.
    """
    from server.cli import payment_records

    recorded = payment_records.record_payment(
        settings_from_environment(),
        client,
        amount,
        method,
        paid_on,
        invoice,
        payer=payer,
        reference=reference,
        external=(source, external_id),
    )
    print_id(run(recorded), json=json)


@app.command("refund")
def refund(
    payment: Annotated[str, typer.Argument(help="The payment: pmt_…")],
    amount: Annotated[str, typer.Option(help="The amount, as 12.50.")],
    refunded_on: Day = None,
    description: Annotated[str, typer.Option(help="What the client reads.")] = "Refund",
    external_id: External = None,
    source: Source = SOURCE,
    json: Json = False,
) -> None:
    """Record a refund that was given outside the portal. Print the id of its entry.

    A card that was charged online is refunded by `portal refund`.
    """
    from server.cli import payment_records

    recorded = payment_records.record_refund(
        settings_from_environment(),
        payment,
        amount,
        refunded_on,
        description,
        external=(source, external_id),
    )
    print_id(run(recorded), json=json)


@app.command("end")
def end(
    payment: Annotated[str, typer.Argument(help="The payment: pmt_…")],
    because: Annotated[str, typer.Option(help="The reason, which is stored with the payment.")],
) -> None:
    """End a payment in an account that Stripe gives no access to, as after deauthorisation.

    If Stripe answers, the payment is given up as a client would do it.
    """
    from server.cli import payments

    typer.echo(run(payments.end_by_operator(settings_from_environment(), payment, because)))

"""The commands `portal webhooks`: endpoints of a practice's other systems, and replays."""

from typing import Annotated

import typer

from server.cli.console import run, settings_from_environment

app = typer.Typer(no_args_is_help=True, help="Send events of changes to other systems.")
endpoints = typer.Typer(no_args_is_help=True, help="Add, list, pause and remove endpoints.")
app.add_typer(endpoints, name="endpoint")

Practice = Annotated[str, typer.Option(help="The practice: pra_…")]
EndpointId = Annotated[str, typer.Argument(help="The endpoint, as listed: whe_…")]


@endpoints.command("add")
def add(
    practice: Practice,
    url: Annotated[str, typer.Argument(help="The address: https://…")],
    event: Annotated[
        list[str] | None,
        typer.Option(help="Only events of this type, such as invoice.paid; several times."),
    ] = None,
) -> None:
    """Add an endpoint. Print its id, and its secret once: whsec_…

    It gets the events of changes from now on. docs/webhooks.md describes the messages.
    """
    from server.cli import webhook_admin

    settings = settings_from_environment()
    for line in run(webhook_admin.add(settings, practice, url, event or [])):
        typer.echo(line)


@endpoints.command("list")
def listed(
    practice: Annotated[str | None, typer.Option(help="Only of this practice: pra_…")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the endpoints: id, status, address, events that wait, the last failure."""
    from server.cli import webhook_admin

    settings = settings_from_environment()
    typer.echo(run(webhook_admin.list_endpoints(settings, practice, as_json=json)))


@endpoints.command("remove")
def remove(endpoint: EndpointId) -> None:
    """Remove an endpoint. Nothing more is sent to it."""
    from server.cli import webhook_admin

    run(webhook_admin.remove(settings_from_environment(), endpoint))


@endpoints.command("rotate")
def rotate(endpoint: EndpointId) -> None:
    """Give an endpoint a new secret, and print it once. The former one signs too for a day."""
    from server.cli import webhook_admin

    typer.echo(run(webhook_admin.rotate(settings_from_environment(), endpoint)))


@endpoints.command("pause")
def pause(endpoint: EndpointId) -> None:
    """Send nothing to an endpoint until it is resumed. Its events wait."""
    from server.cli import webhook_admin

    run(webhook_admin.pause(settings_from_environment(), endpoint))


@endpoints.command("resume")
def resume(endpoint: EndpointId) -> None:
    """Send the events that wait, also after three days of failures or a 410."""
    from server.cli import webhook_admin

    run(webhook_admin.resume(settings_from_environment(), endpoint))


@app.command("replay")
def replay(
    practice: Practice,
    since: Annotated[
        int, typer.Option(min=0, help="Send the events after this version again, in their order.")
    ],
    endpoint: Annotated[
        str | None, typer.Option(help="Only to this endpoint: whe_… (default: to all of them).")
    ] = None,
) -> None:
    """Send events again. They have the same ids as before."""
    from server.cli import webhook_admin

    settings = settings_from_environment()
    typer.echo(run(webhook_admin.replay(settings, practice, since, endpoint)))


@app.command("test")
def test(endpoint: EndpointId) -> None:
    """Send a message of type webhook.test to an endpoint now, and print the answer.

    Exit with 1 if the endpoint does not accept it.
    """
    from server.cli import webhook_admin

    sentence, is_accepted = run(webhook_admin.try_endpoint(settings_from_environment(), endpoint))
    typer.echo(sentence)
    if not is_accepted:
        raise typer.Exit(1)

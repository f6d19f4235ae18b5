"""The portal and its peers, measured in one run: `python -m bench`, in some half an hour.

Speed does not decide the exit code. It is 1 only if a response is wrong, or not the same for all.
"""

import asyncio
import datetime as dt
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from bench import (
    chart,
    figures,
    growth,
    measuring,
    nodejs,
    processes,
    promises,
    table,
    targets,
    wrk,
)
from bench.commands import Rounds, Seconds, database_server, listed, say, say_who_asks
from bench.figures import ByName
from bench.load import NotAnswered
from bench.measuring import Choice
from bench.operations import NAMES
from bench.results import Results
from bench.servers import PROJECT, facts
from bench.targets import Target

RESULTS, RAW = PROJECT / "bench" / "RESULTS.md", PROJECT / "bench" / "results.json"
PICTURE = PROJECT / "docs" / "pictures" / "bench.svg"
KEYS = tuple(target.key for target in targets.TARGETS)
PARTS = ("operations", "growth", "processes")


def main(
    seconds: Seconds = 2,
    rounds: Rounds = 3,
    operations: Annotated[str, typer.Option(help="Keys, separated by commas.")] = ",".join(NAMES),
    only: Annotated[str, typer.Option("--targets", help="Keys, separated by commas.")] = ",".join(
        KEYS
    ),
    connections: Annotated[
        str, typer.Option(help="Numbers of connections, separated by commas.")
    ] = "1,8,64",
    clients: Annotated[
        int, typer.Option(min=60, help="Clients of the practice.")
    ] = measuring.CLIENTS,
    large: Annotated[
        int, typer.Option(min=60, help="Clients of the practice of `counted`.")
    ] = measuring.LARGE,
    parts: Annotated[str, typer.Option(help="Keys, separated by commas.")] = ",".join(PARTS),
    write: Annotated[
        bool | None,
        typer.Option(
            help="Write RESULTS.md, results.json and the chart; by default only after a whole run."
        ),
    ] = None,
) -> None:
    """Measure the portal beside its peers, and print tables."""
    say_who_asks()
    choice = Choice(
        targets=tuple(target for target in targets.TARGETS if target.key in chosen(only, KEYS)),
        operations=tuple(chosen(operations, NAMES)),
        connections=tuple(int(count) for count in listed(connections)),
        seconds=seconds,
        rounds=rounds,
        clients=clients,
        large=large,
    )
    with database_server() as url:
        results = asyncio.run(measure(url, choice, chosen(parts, PARTS)))
    typer.echo(table.markdown(results))
    if is_whole(choice, parts) if write is None else write:
        keep(results)
    raise typer.Exit(1 if results.wrong else 0)


def is_whole(choice: Choice, parts: str) -> bool:
    return choice == Choice() and set(listed(parts)) == set(PARTS)


def chosen(text: str, every: Sequence[str]) -> list[str]:
    names = listed(text)
    if unknown := [name for name in names if name not in every]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(every)}.")
    return names


async def measure(server_url: str, choice: Choice, parts: Sequence[str]) -> Results:
    results = Results(
        await circumstances(server_url, choice.targets),
        choice.clients,
        choice.large,
        choice.seconds,
        choice.rounds,
    )
    plan = choice.plan(promises.CONNECTIONS)
    if "operations" in parts:
        await measuring.measure(server_url, choice, results)
    # Print the earlier measurements in any case.
    try:
        if "growth" in parts:
            results.growth = await growth.measure(server_url, plan)
        if "processes" in parts:
            results.processes = dict(await processes.measure(server_url, plan, choice.clients))
    except (NotAnswered, OSError) as error:
        results.wrong.append(str(error))
    return results


async def circumstances(server_url: str, chosen: Sequence[Target]) -> dict[str, str]:
    """Return the time, machine, command and versions of the run."""
    node = nodejs.found()
    versions = [
        version for target in chosen if not target.missing() for version in target.versions()
    ]
    return {
        "when": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "machine": await facts(server_url) + (f", Node {node[0]}" if node else ""),
        "load generator": wrk.version()
        if wrk.is_there()
        else "bench/load.py, since there is no wrk",
        "command": shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
        "versions": ", ".join(versions),
    }


def keep(results: Results) -> None:
    """Write the tables, the chart, and every round as JSON."""
    RESULTS.write_text(table.markdown(results))
    results.keep(RAW)
    drawn = charted(results)
    if drawn.panels:
        PICTURE.write_text(chart.svg(drawn))
    say(f"Written: {RESULTS}, {RAW}, {PICTURE}")


def charted(results: Results) -> chart.Chart:
    measured = results.at(promises.CONNECTIONS)
    panels = {name: of_limit(measured[name]) for name in promises.OPERATIONS if name in measured}
    return chart.Chart(
        "Requests a second, as a share of the limit",
        "The limit, 1.00, is an endpoint written by hand for each operation."
        f" {promises.CONNECTIONS} connections, one process each.",
        {name: bars for name, bars in panels.items() if bars},
        ours=(targets.PORTAL.name, targets.ON_SQLITE.name),
    )


def of_limit(measured: ByName) -> dict[str, float]:
    limit = measured.get(targets.BY_HAND.name, [])
    ratios = {name: figures.ratio(rounds, limit) for name, rounds in measured.items()}
    return {name: ratio.median for name, ratio in ratios.items() if ratio}


if __name__ == "__main__":
    typer.run(main)

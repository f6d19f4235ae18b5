"""The results as Markdown."""

import math
from collections.abc import Iterable, Iterator, Sequence

from bench import figures, promises, targets
from bench.figures import ByName, Ratio, Rounds
from bench.results import ByConnections, Growth, Results

NOTHING = "-"
# The mark of rates that were measured without wrk.
BY_LOAD = "°"
# The connections of the rounds for which CPU is listed.
CPU_AT = promises.CONNECTIONS
ASKED = {
    "billing": "A client's page: balance with its terms, ten invoices, statements and superbills,"
    " twenty entries of the account history, the cards",
    "anew": "The same page, with a new body each time: its variables contain another number",
    "dashboard": "500 invoices of a practice with their clients' names",
    "tiny": "A client's balance, nothing else",
    "deep": "Ten invoices with their payments, these with their allocations, and the invoices of"
    " those",
    "counted": "Twenty invoices of a large practice, with their total count",
    "node": "An invoice by its id",
    "revenue": "A year of a practice, month by month: five sums of each",
}


def markdown(results: Results) -> str:
    """Return all tables, as in bench/RESULTS.md."""
    return "\n\n".join(parts(results)) + "\n"


def parts(results: Results) -> Iterator[str]:
    yield "# Results of the benchmark"
    yield "\n".join(f"- {name}: {said}" for name, said in results.facts.items())
    if results.absent:
        yield "\n".join(f"- {name}: not measured: {why}" for name, why in results.absent.items())
    if results.wrong:
        yield "\n".join(f"- **wrong**: {what}" for what in results.wrong)
    yield "## Targets"
    yield promised(results)
    yield "## Requests a second, milliseconds, CPU"
    yield (
        f"Rounds of {results.seconds:g} s, {results.rounds} of each, the servers by turns: their"
        f" medians. A practice of {results.clients:,} clients, and of {results.large:,} for"
        " `counted`. Over 1 connection, 8 and so on; CPU is that of a request over"
        f" {CPU_AT} connections. The limit is the hand-written endpoint."
        f" {BY_LOAD}: slow enough to be measured by bench/load.py instead of wrk."
    )
    for name, found in results.operations.items():
        yield operation(name, found, results)
    if results.growth:
        yield grown(results.growth)
    if results.processes:
        yield processes(results.processes)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table with the first `left` columns aligned left, and the others right."""
    lines = [head, [*["---"] * left, *["---:"] * (len(head) - left)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# -- the tables ------------------------------------------------------------------------------------


def promised(results: Results) -> str:
    found = promises.kept(
        results.at(promises.CONNECTIONS), results.growth.rounds if results.growth else {}
    )
    rows = (
        [one.what, one.operation, one.promised, with_range(one.measured), verdict(one.is_kept)]
        for one in found
    )
    head = ["the portal's requests a second", "operation", "target", "measured", "reached"]
    said = (
        f"Over {promises.CONNECTIONS} connections: medians of the rounds' ratios, with the lowest"
        " and the highest.\n\n"
    )
    return said + table(head, rows, left=2)


def operation(name: str, found: ByConnections, results: Results) -> str:
    counts = list(found)
    head = [
        "",
        *(f"{unit} over {count}" for unit in ("requests/s", "of the limit") for count in counts),
        *(f"p50 / p99 ms over {count}" for count in counts),
        "server CPU ms",
        "database CPU ms",
        "bytes",
    ]
    names = list(dict.fromkeys(server for by_name in found.values() for server in by_name))
    rows = [row(server, found, results.sizes[name][server]) for server in names]
    return f"### {name}\n\n{ASKED[name]}.\n\n{table(head, rows)}"


def row(server: str, found: ByConnections, size: int) -> list[str]:
    of_it = [by_name.get(server, []) for by_name in found.values()]
    limits = [by_name.get(targets.BY_HAND.name, []) for by_name in found.values()]
    return [
        server,
        *(rate(rounds) for rounds in of_it),
        *(of_limit(rounds, limit) for rounds, limit in zip(of_it, limits, strict=True)),
        *(times(rounds) for rounds in of_it),
        *cpus(found.get(CPU_AT, {}).get(server, [])),
        f"{size:,}",
    ]


def grown(growth: Growth) -> str:
    smallest = first(growth.rounds)
    rows = (
        [name, f"{growth.rows[name]:,}", f"{figures.rate(rounds):,.0f}", of_limit(rounds, smallest)]
        for name, rounds in growth.rounds.items()
    )
    head = ["practice", "rows in the tables", "requests/s", "of the smallest"]
    return (
        "## As a practice grows\n\nThe billing page, by the portal over"
        f" {promises.CONNECTIONS} connections.\n\n{table(head, rows)}"
    )


def processes(found: dict[str, ByName]) -> str:
    rows = [
        [f"{operation}, {name}", f"{figures.rate(rounds):,.0f}", of_limit(rounds, first(by_name))]
        for operation, by_name in found.items()
        for name, rounds in by_name.items()
    ]
    head = ["", "requests/s", "of one process"]
    return (
        "## One process and two\n\n`portal serve --processes`, over"
        f" {promises.CONNECTIONS} connections. The processes share the cores with PostgreSQL and"
        f" with the load generator.\n\n{table(head, rows)}"
    )


def first(by_name: ByName) -> Rounds:
    return next(iter(by_name.values()))


# -- cells -----------------------------------------------------------------------------------------


def rate(rounds: Rounds) -> str:
    if not rounds:
        return NOTHING
    found = figures.rate(rounds)
    mark = "" if all(each.by_wrk for each in rounds) else BY_LOAD
    return f"{found:,.{1 if found < 10 else 0}f}{mark}"


def of_limit(rounds: Rounds, limit: Rounds) -> str:
    found = figures.ratio(rounds, limit)
    return f"{found.median:.2f}" if found else NOTHING


def with_range(found: Ratio | None) -> str:
    if found is None:
        return "not measured"
    return f"{found.median:.2f} ({found.lowest:.2f} to {found.highest:.2f})"


def verdict(is_kept: bool | None) -> str:
    return {True: "✓", False: "missed", None: NOTHING}[is_kept]


def times(rounds: Rounds) -> str:
    if not rounds:
        return NOTHING
    return f"{milliseconds(figures.p50(rounds))} / {milliseconds(figures.p99(rounds))}"


def cpus(rounds: Rounds) -> list[str]:
    found = figures.cpu(rounds)
    return [milliseconds(found.server), milliseconds(found.database)]


def milliseconds(seconds: float) -> str:
    """Return milliseconds in three digits: 0.12, 1.23, 12.3, 123."""
    if math.isnan(seconds):
        return NOTHING
    value = seconds * 1000
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"

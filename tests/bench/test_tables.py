"""Evaluation of the benchmark: comparisons, ratios, tables and the chart; and that both load
generators count alike.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import chart, comparing, figures, load, memory, promises, rounds, table, targets, wrk
from bench.comparing import Side
from bench.figures import Cpu, Round
from bench.load import Exchange, NotAnswered
from bench.operations import PLACE
from bench.results import Growth, Results
from bench.rounds import Plan
from bench.servers import Server

SVG = "{http://www.w3.org/2000/svg}"
PORTAL, BY_HAND = targets.PORTAL.name, targets.BY_HAND.name


def a_round(rate: float, cpu: Cpu = figures.UNKNOWN, p50: float = 0.001) -> Round:
    return Round(round(rate * 2), 2, p50, 2 * p50, round(rate * 2), cpu, by_wrk=True)


# -- comparing answers -----------------------------------------------------------------------------


def told(**answers: bytes) -> dict[str, list[bytes]]:
    return {name: [answer] for name, answer in answers.items()}


def test_json_of_the_same_meaning_is_equal() -> None:
    spaced = b'{"b": [1, null], "a": "\\u00e9"}'
    assert comparing.differences(told(portal=b'{"a":"\xc3\xa9","b":[1,null]}', other=spaced)) == {}


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (b'{"a":{"b":[1,3]}}', "a.b[1] is 3 instead of 2"),
        (b'{"a":{"b":[1]}}', "a.b is [1] instead of [1,2]"),
        (b'{"a":{}}', 'a is {} instead of {"b":[1,2]}'),
        (b'{"a":{"b":[true,2]}}', "a.b[0] is true instead of 1"),
        (b'{"a":{"b":[1,2]},"errors":[]}', "the answer is"),
    ],
)
def test_difference_of_an_answer_is_reported_with_its_path(other: bytes, why: str) -> None:
    found = comparing.differences(told(other=other, portal=b'{"a":{"b":[1,2]}}'))
    assert list(found) == ["other"]
    assert why in found["other"]


def test_cursors_are_compared_only_by_presence() -> None:
    portal = b'{"pageInfo":{"endCursor":"61"}}'
    own, none = b'{"pageInfo":{"endCursor":"other"}}', b'{"pageInfo":{"endCursor":null}}'
    assert comparing.differences(told(portal=portal, other=own)) == {}
    assert "other" in comparing.differences(told(portal=portal, other=none))


def test_without_the_portal_the_first_server_is_the_reference() -> None:
    assert list(comparing.differences(told(one=b"1", two=b"2"))) == ["two"]


# -- figures ---------------------------------------------------------------------------------------


def test_ratio_pairs_consecutive_rounds() -> None:
    ours = [a_round(100), a_round(300), a_round(50)]
    theirs = [a_round(200), a_round(200), a_round(200)]
    assert figures.ratio(ours, theirs) == figures.Ratio(0.5, 0.25, 1.5)
    assert figures.ratio(ours, theirs[:1]) == figures.Ratio(0.5, 0.5, 0.5)
    assert figures.ratio(ours, []) is None


def test_percentile_is_a_time_within_which_that_share_was_answered() -> None:
    took = [float(n) for n in range(200, 0, -1)]
    assert figures.percentile(took, 50) == 100
    assert figures.percentile(took, 99) == 198
    assert figures.percentile([7.0], 99) == 7
    assert math.isnan(figures.percentile([], 50))


def test_unfinished_requests_share_the_cpu() -> None:
    done = Round(90, 2, 0.001, 0.002, 100, Cpu(1, math.nan))
    found = figures.cpu([done, done])
    assert found.server == pytest.approx(0.01)
    assert math.isnan(found.database)


def test_growth_is_the_slope_of_a_fitted_line() -> None:
    assert figures.relative_slope([100.0] * 20) == 0
    assert figures.relative_slope([99.0, 100.0, 101.0]) == pytest.approx(0.02)
    one_high = [100.0] * 10 + [110.0] + [100.0] * 10
    assert figures.relative_slope(one_high) == pytest.approx(0)


# -- targets and tables ----------------------------------------------------------------------------


def found() -> Results:
    """Return results that reach the target of `tiny` and miss that of `billing`."""
    results = Results({"machine": "two cores"}, 400, 15_000, 2, 3)
    for name, rate in (("billing", 89), ("tiny", 90)):
        by_name = {
            BY_HAND: [a_round(100, Cpu(0.02, 0.1))] * 3,
            PORTAL: [a_round(rate, Cpu(0.04, math.nan))] * 3,
        }
        results.operations[name] = {1: {}, 8: by_name}
        results.sizes[name] = {BY_HAND: 7_059, PORTAL: 7_059}
    return results


def promise(results: Results, what: str, operation: str) -> promises.Kept:
    growth = results.growth.rounds if results.growth else {}
    every = promises.kept(results.at(promises.CONNECTIONS), growth)
    return next(one for one in every if (one.what, one.operation) == (what, operation))


def test_target_is_reached_missed_or_not_measured() -> None:
    results = found()
    assert promise(results, "of the limit", "tiny").is_kept is True
    assert promise(results, "of the limit", "billing").is_kept is False
    assert promise(results, "of the limit", "dashboard").is_kept is None
    assert promise(results, f"over {targets.MERCURIUS.name}", "tiny").is_kept is None


def test_slowest_of_the_larger_practices_decides_about_growth() -> None:
    results = found()
    sizes = {"90": [a_round(130)], "900": [a_round(99)], "9,000": [a_round(120)]}
    results.growth = Growth(dict.fromkeys(sizes, 1), sizes)
    kept = promise(results, "small practice / large one", "billing")
    assert kept.measured is not None
    assert kept.measured.median == pytest.approx(130 / 99)
    assert kept.is_kept is False


def test_markdown_lists_measured_missing_and_wrong_results() -> None:
    results = found()
    results.absent["GraphQL Yoga"] = "bench/peers/node/yoga.mjs isn't there"
    results.wrong.append("tiny: other answers otherwise")
    text = table.markdown(results)
    assert "- GraphQL Yoga: not measured: bench/peers/node/yoga.mjs isn't there" in text
    assert "- **wrong**: tiny: other answers otherwise" in text
    assert "| of the limit | billing | ≥ 0.9 | 0.89 (0.89 to 0.89) | missed |" in text
    assert "| of the limit | tiny | ≥ 0.85 | 0.90 (0.90 to 0.90) | ✓ |" in text
    assert "| of the limit | dashboard | ≥ 0.95 | not measured | - |" in text
    portal = "| portal | - | 89 | - | 0.89 | - | 1.00 / 2.00 | 0.22 | - | 7,059 |"
    assert portal in text


def test_rates_without_wrk_are_marked() -> None:
    by_wrk = a_round(2_000)
    assert table.rate([by_wrk]) == "2,000"
    assert table.rate([by_wrk, replace(by_wrk, by_wrk=False)]) == "2,000°"
    assert table.rate([a_round(1.5)]) == "1.5"


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    results = found()
    results.growth = Growth({"90 clients": 10}, {"90 clients": [a_round(5)]})
    results.processes = {"tiny": {"one process": [a_round(5)], "two processes": [a_round(9)]}}
    widths = {}
    for paragraph in table.markdown(results).split("\n\n"):
        if paragraph.startswith("|"):
            lines = paragraph.splitlines()
            widths[lines[0]] = {line.count(" | ") for line in lines}
    assert len(widths) == 4
    assert all(len(each) == 1 for each in widths.values())


def test_raw_figures_are_written_as_json(tmp_path: Path) -> None:
    found().keep(tmp_path / "results.json")
    text = (tmp_path / "results.json").read_text()
    assert '"answers": 178' in text
    assert '"database": null' in text


# -- the chart -------------------------------------------------------------------------------------


def drawn() -> chart.Chart:
    panels = {"billing": {"by <hand>": 1.0, "portal": 0.5}, "tiny": {"portal": 2.0}}
    return chart.Chart("Rates & ratios", "Of the limit.", panels, ours=["portal"])


def test_chart_is_well_formed_and_has_the_figures_as_text() -> None:
    picture = ElementTree.fromstring(chart.svg(drawn()))  # noqa: S314 (made by the code under test)
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    for said in ("Rates & ratios", "billing", "by <hand>", "1.00", "0.50", "tiny", "2.00"):
        assert said in texts


def test_chart_has_a_title_and_a_description_for_screen_readers() -> None:
    picture = ElementTree.fromstring(chart.svg(drawn()))  # noqa: S314 (made by the code under test)
    assert picture.get("role") == "img"
    named = (picture.get("aria-labelledby") or "").split()
    texts = {element.get("id"): element.text for element in picture if element.get("id")}
    assert [texts[id_] for id_ in named] == [
        "Rates & ratios",
        "Of the limit. billing: by <hand> 1.00, portal 0.50. tiny: portal 2.00.",
    ]


def test_bars_are_proportional_and_within_the_picture() -> None:
    picture = ElementTree.fromstring(chart.svg(drawn()))  # noqa: S314 (made by the code under test)
    widths = [float(bar.get("width", 0)) for bar in picture.iter(f"{SVG}rect")]
    assert widths == pytest.approx([widths[2] / 2, widths[2] / 4, widths[2]], abs=0.1)
    assert chart.MARGIN + chart.LABELS + widths[2] + chart.FIGURES <= chart.WIDTH
    bottoms = [float(bar.get("y", 0)) + chart.BAR for bar in picture.iter(f"{SVG}rect")]
    assert max(bottoms) < float(picture.get("height", 0))


# -- load generators -------------------------------------------------------------------------------


def test_chunks_are_joined_once_the_last_one_is_there() -> None:
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n"
    assert load.whole_body(bytearray(whole)) is None
    assert load.whole_body(bytearray(whole + b"0\r\n")) is None
    assert load.whole_body(bytearray(whole + b"0\r\n\r\n")) == b"abc0123456789"


def test_slow_server_gets_one_round_or_none() -> None:
    plan = Plan(seconds=2, rounds=3, connections=64)
    assert plan.rounds_of(a_side(0.01)) == 3
    assert plan.rounds_of(a_side(0.5)) == 1
    assert plan.rounds_of(a_side(1)) == 0


def test_servers_take_turns_at_being_first() -> None:
    assert rounds.in_turn(["a", "b"], 0) == ["a", "b"]
    assert rounds.in_turn(["a", "b"], 1) == ["b", "a"]


def test_short_lists_are_repeated_until_the_longest_was_sent() -> None:
    lists = [[Exchange(text.encode(), b"", 0) for text in texts] for texts in ("abc", "x")]
    asked = [exchange.request.decode() for exchange in memory.by_turns(lists)]
    assert "".join(asked) == "axbxcx"


def test_growing_memory_is_not_described_as_flat() -> None:
    assert memory.described([100.0] * 12).endswith(": flat.")
    assert memory.described([100.0 + n for n in range(12)]).endswith(": not flat.")


WHO_ASKS = [
    pytest.param(load.load, id="load"),
    pytest.param(
        wrk.load,
        id="wrk",
        marks=pytest.mark.skipif(not wrk.is_there(), reason=wrk.HOW_TO_GET),
    ),
]


@pytest.mark.parametrize("asks", WHO_ASKS)
async def test_requests_take_turns_and_are_all_counted(asks: rounds.Load) -> None:
    exchanges = [exchange(text) for text in (b"1", b"22", b"333")]
    async with answering(b"200 OK") as (port, got):
        done = await asks(port, exchanges, 4, 1)
    asked = len(got)
    assert done.answers <= asked <= done.worked_on + 1
    assert done.rate == pytest.approx(done.answers / done.lasted)
    # The server sleeps for 5 ms, and for 50 ms before each twentieth response.
    assert 0.005 <= done.p50 < done.p99
    assert done.p99 >= 0.05
    for each in exchanges:
        assert got.count(each.request) == pytest.approx(asked / 3, rel=0.1)


@pytest.mark.parametrize("asks", WHO_ASKS)
async def test_response_other_than_200_fails_the_round(asks: rounds.Load) -> None:
    async with answering(b"503 Busy") as (port, _):
        with pytest.raises(NotAnswered, match=r"503|200"):
            await asks(port, [exchange(b"1")], 4, 1)


@pytest.mark.parametrize("asks", WHO_ASKS)
async def test_response_of_another_size_fails_the_round(asks: rounds.Load) -> None:
    """A response with errors has another size."""
    async with answering(b"200 OK") as (port, _):
        with pytest.raises(NotAnswered, match=r"bytes|200"):
            await asks(port, [Exchange(request(b"1"), b"another", len(ANSWER) + 5)], 4, 1)


@pytest.mark.parametrize("asks", WHO_ASKS)
@pytest.mark.rest
async def test_requests_with_a_number_are_all_different(asks: rounds.Load) -> None:
    async with answering(b"200 OK") as (port, got):
        for _ in range(2):
            await asks(port, [exchange(b"1"), exchange(PLACE.encode())], 4, 1)
        await load.answers(port, [request(PLACE.encode())])
    numbered = [sent for sent in got if not sent.endswith(b"\r\n1")]
    assert len(set(numbered)) == len(numbered) > 20
    assert all(sent.rpartition(b"\n")[2].isdigit() for sent in numbered)


@pytest.mark.parametrize("body", [b'{"errors":[],"data":null}', b"<p>", b"[]"])
def test_response_without_data_is_refused(body: bytes) -> None:
    with pytest.raises(NotAnswered):
        comparing.check(body)
    comparing.check(b'{"data":{"client":null}}')


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def exchange(body: bytes) -> Exchange:
    return Exchange(request(body), b"ok", len(ANSWER))


def request(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@asynccontextmanager
async def answering(status: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Run a server that answers "ok"; yield its port and the requests that it got."""
    got: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.rpartition(b": ")[2])
            got.append(head + await reader.readexactly(length))
            await asyncio.sleep(0.05 if len(got) % 20 == 0 else 0.005)
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok" % status)

    async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(until_closed, load.HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], got


def a_side(alone: float) -> Side:
    return Side(Server(targets.PORTAL, 0, 0, None), [], alone)

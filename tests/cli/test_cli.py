"""The command line, as an operator uses it."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from billing.stripe import Stripe
from models.ids import new_id
from sandbox.app import app as double
from sandbox.store import Store
from server.cli import main as cli
from server.cli.checks import check
from server.cli.single_process import sole_server
from tests.support.portal import KEY, Portal, served

CONTRACT = Path(__file__).parents[2] / "schema.graphql"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set up an SQLite file that does not exist yet, and remove all other settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///portal.sqlite")
    monkeypatch.setenv("TOKEN_KEY", KEY)
    for name in ("ALLOWED_ORIGINS", "INTROSPECTION"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def practice(environment: Path) -> Portal:
    async def made() -> Portal:
        async with served("sqlite:///portal.sqlite") as portal:
            return portal

    return asyncio.run(made())


def portal(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def test_schema_file_is_up_to_date() -> None:
    assert portal("schema").stdout == CONTRACT.read_text()


def test_outdated_schema_file_fails_the_check(environment: Path) -> None:
    assert portal("schema", "--check").exit_code == 1
    Path("schema.graphql").write_text(CONTRACT.read_text())
    assert portal("schema", "--check").exit_code == 0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TOKEN_KEY", None, "TOKEN_KEY is not set"),
        ("TOKEN_KEY", "short", "TOKEN_KEY: "),
        ("DATABASE_URL", "mysql://x/y", "postgresql://"),
        ("DATABASE_URL", "sqlite://", "names no file"),
        ("DATABASE_URL", "nonsense", "begins with neither"),
        ("INTROSPECTION", "perhaps", "INTROSPECTION: "),
        ("STATEMENT_TIMEOUT_S", "0", "STATEMENT_TIMEOUT_S: "),
        ("SMTP_URL", "http://mail.example", "SMTP_URL: is not as smtp://"),
        ("SMTP_URL", "smtp://portal:secret@", "SMTP_URL: is not as smtp://"),
        ("SMTP_URL", "smtp://portal:secret@mail.example", "MAIL_FROM is not set"),
        ("MAIL_FROM", "a@b.example, c@d.example", "MAIL_FROM: is not as Billing"),
    ],
)
def test_invalid_setting_stops_with_a_sentence(
    environment: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, said: str
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    result = portal("serve")
    assert result.exit_code == 1
    assert said in result.stderr
    assert value is None or len(value) < 5 or value not in result.stderr
    assert "Traceback" not in result.output


def test_demo_with_an_invalid_database_url_stops_with_a_sentence(environment: Path) -> None:
    result = portal("demo", "--database", "postgresql://portal:secret@host:port/portal")
    assert result.exit_code == 1
    assert result.stderr.startswith("--database has a port that is no number")
    assert "secret" not in result.output


KEYS = {
    "STRIPE_API_KEY": "sk_test_1",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"STRIPE_API_KEY": "pk_test_1"}, "STRIPE_API_KEY: is no secret key"),
        ({"STRIPE_WEBHOOK_SECRET": None}, "STRIPE_WEBHOOK_SECRET is not set"),
        ({"STRIPE_PUBLISHABLE_KEY": None}, "begins with pk_test_"),
        ({"STRIPE_API_KEY": "sk_live_1"}, "begins with pk_live_"),
        ({"STRIPE_API_KEY": "sk_live_1", "STRIPE_PUBLISHABLE_KEY": "pk_live_1",
          "STRIPE_API_BASE": "http://127.0.0.1:1"}, "never beside a live key"),
    ],
)  # fmt: skip
def test_inconsistent_stripe_keys_stop_with_a_sentence(
    environment: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str | None], said: str
) -> None:
    for name, value in (KEYS | given).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    result = portal("serve")
    assert result.exit_code == 1
    assert said in result.stderr
    # No key is shown, not even a part of one.
    assert "sk_live_1" not in result.stderr
    assert "whsec_1" not in result.stderr


def test_key_unknown_to_stripe_stops_the_start(
    practice: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The double accepts no live key."""
    store = Store(":memory:")
    transport = httpx.ASGITransport(double(store))
    refused = Stripe("sk_live_unknown", base="http://stripe", transport=transport)
    monkeypatch.setattr(check, "stripe_client", lambda _: refused)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    result = portal("serve")
    store.close()
    assert (result.exit_code, result.stderr.partition(":")[0]) == (1, "STRIPE_API_KEY")
    assert "Stripe rejects this key" in result.stderr


def test_demo_does_not_start_with_a_live_key(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_live_1")
    result = portal("demo")
    assert result.exit_code == 1
    assert "live key" in result.stderr


def test_serve_refuses_a_database_that_is_not_migrated(environment: Path) -> None:
    result = portal("serve")
    assert (result.exit_code, result.stderr) == (
        1,
        "The database is not up to date: run `portal migrate` first.\n",
    )
    assert "revision" in portal("migrate").stdout
    assert portal("migrate").exit_code == 0


def test_tokens_are_created_listed_and_revoked(practice: Portal) -> None:
    given = portal(
        "token", "create", "--name", "Grafana", "--practice", f"pra_{practice.practice_id}",
        "--scope", "billing:read", "--scope", "aggregates:read", "--days", "7",
    )  # fmt: skip
    assert re.fullmatch(r"cbp_\w{49}\n", given.stdout)
    (line,) = portal("token", "list").stdout.splitlines()
    assert "works" in line
    assert "DASHBOARD   Grafana  [aggregates:read billing:read]" in line
    id_ = line.split()[0]
    assert portal("token", "revoke", id_).stdout == f"Token {id_} is revoked.\n"
    assert "revoked" in portal("token", "list").stdout
    assert portal("token", "revoke", id_).exit_code == 1


def test_token_that_may_write_is_an_integrations(practice: Portal) -> None:
    portal(
        "token", "create", "--name", "EHR sync", "--practice", f"pra_{practice.practice_id}",
        "--scope", "billing:write",
    )  # fmt: skip
    assert "INTEGRATION EHR sync  [billing:write]" in portal("token", "list").stdout


def test_token_for_an_unknown_subject_is_refused(practice: Portal) -> None:
    ours = ["--name", "x", "--practice", f"pra_{practice.practice_id}"]
    for wrong in (
        ["--name", "x", "--practice", f"pra_{new_id()}"],
        ["--name", "x", "--practice", "nonsense"],
        [*ours, "--client", f"cli_{new_id()}"],
        [*ours, "--client", "a", "--contact", "b"],
        [*ours, "--scope", "everything"],
    ):
        result = portal("token", "create", *wrong)
        assert result.exit_code == 1
        assert result.stderr
        assert "Traceback" not in result.output
    assert portal("token", "list").stdout == ""


def test_explain_shows_the_statement_and_its_plan(practice: Portal) -> None:
    Path("q.graphql").write_text(
        "query Q($n: Int) { client { invoices(first: $n) { totalCount } } }"
    )
    result = portal("explain", "q.graphql", "--variables", '{"n": 3}')
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("SELECT ")
    assert "SEARCH invoice" in result.stdout
    assert "run in" in portal("explain", "q.graphql", "--analyze").stdout


def test_explain_shows_the_plan_tree_without_a_database(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    Path("q.graphql").write_text(
        "query Q($n: Int) { client { invoices(last: $n) { totalCount } } }"
    )
    result = portal("explain", "--plan", "q.graphql", "--variables", '{"n": 3}')
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "query Q",
        "  client Client                 row of clients.client(), or null",
        "    invoices InvoiceConnection  page of invoices.of_client(), last: $n, rows not read",
        "      totalCount                Int!, the number of rows of the whole list",
    ]


INVALID = [
    ("{", "{}", "Syntax Error"),
    ("{ nonsense }", "{}", "Cannot query field"),
    ("{ __typename }", "[]", "--variables takes"),
    ("{ client { id } }", "no", "--variables takes"),
    ("query ($id: ID!) { node(id: $id) { id } }", "{}", "to be provided"),
]


@pytest.mark.parametrize(("query", "variables", "said"), INVALID)
def test_explain_reports_invalid_operations(
    practice: Portal, query: str, variables: str, said: str
) -> None:
    for options in (), ("--plan",):
        Path("q.graphql").write_text(query)
        result = portal("explain", "q.graphql", "--variables", variables, *options)
        assert result.exit_code == 1
        assert said in result.stderr
        assert "Traceback" not in result.output


def test_sqlite_file_is_served_by_one_process(practice: Portal) -> None:
    with sole_server("sqlite:///portal.sqlite"):
        result = portal("serve")
    assert (result.exit_code, result.stderr) == (1, "Another process serves portal.sqlite.\n")
    assert portal("serve", "--processes", "2").exit_code == 1

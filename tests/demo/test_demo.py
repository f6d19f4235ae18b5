"""`portal demo`, which `make run` serves."""

import json
import stat
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import demo_server as demonstration
from tests.support.demo_server import PROJECT, Demo
from tests.support.demo_snapshot import Snapshot

pytestmark = pytest.mark.server

README, API, SANDBOX = (
    (PROJECT / name).read_text() for name in ("README.md", "docs/api.md", "docs/sandbox.md")
)
QUERIES = sorted((PROJECT / "web" / "queries").glob("*.graphql"))


def ask(demo: Demo, who: str | None, query: str) -> Any:
    headers = {"Authorization": f"Bearer {demo.tokens[who]}"} if who else {}
    response = httpx.post(f"{demo.url}/graphql", json={"query": query}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def test_each_token_sees_its_own_clients(demo: Demo) -> None:
    query = "{ viewer { kind clients { name balance { amount { minorUnits } } } } }"
    seen = {
        who: ask(demo, who, query)["data"]["viewer"] for who in demo.tokens if who != "dashboard"
    }
    assert {who: viewer["kind"] for who, viewer in seen.items()} == {
        "client": "CLIENT",
        "sibling": "CLIENT",
        "guardian": "CONTACT",
        "stranger": "CLIENT",
    }
    assert {who: len(viewer["clients"]) for who, viewer in seen.items()} == {
        "client": 1,
        "sibling": 1,
        "guardian": 2,
        "stranger": 1,
    }
    assert seen["client"]["clients"][0]["balance"]["amount"]["minorUnits"] > 0
    names = [c["name"] for viewer in seen.values() for c in viewer["clients"]]
    assert len(set(names)) == 5
    assert ask(demo, "dashboard", "{ viewer { kind scopes clients { id } } }")["data"] == {
        "viewer": {
            "kind": "DASHBOARD",
            "scopes": ["AGGREGATES_READ", "BILLING_READ"],
            "clients": [],
        }
    }


def test_dashboard_gets_no_health_information(demo: Demo) -> None:
    (error,) = ask(demo, "dashboard", "{ client { name } }")["errors"]
    assert error["extensions"]["code"] == "SCOPE_REQUIRED"


def test_link_in_the_demos_mail_signs_in_on_its_own_page(demo: Demo) -> None:
    email = ask(demo, "guardian", "{ viewer { email } }")["data"]["viewer"]["email"]
    asked = f'mutation {{ requestSignInLink(input: {{email: "{email}"}}) {{ nonce }} }}'
    nonce = ask(demo, None, asked)["data"]["requestSignInLink"]["nonce"]
    text = mail_to(demo, email)
    secret = text.partition(f"{demo.url}/portal/#/sign-in/")[2].split()[0]
    entered = f"""mutation {{ signIn(input: {{secret: "{secret}", nonce: "{nonce}"}}) {{
        ... on SignedIn {{ viewer {{ kind clients {{ id }} }} }} }} }}"""
    viewer = ask(demo, None, entered)["data"]["signIn"]["viewer"]
    assert (viewer["kind"], len(viewer["clients"])) == ("CONTACT", 2)


def mail_to(demo: Demo, email: str) -> str:
    """Wait for a mail to an address, and return its text."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for mail in httpx.get(f"{demo.url}/sandbox/mails").json():
            if mail["to"] == email:
                return str(mail["text"])
        time.sleep(0.1)
    raise AssertionError("no mail came")


def test_introspection_of_the_demo_needs_no_token(demo: Demo) -> None:
    assert ask(demo, None, "{ __schema { queryType { name } } }")["data"]


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_documented_queries_are_those_of_the_tabs(demo: Demo, path: Path) -> None:
    assert path.read_text() in blocks(API, "graphql")
    assert "errors" not in ask(demo, "client", path.read_text())


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language in a document."""
    return [part.partition("```")[0] for part in text.split(f"```{language}\n")[1:]]


def documented(text: str, operation: str) -> str:
    """Return the document's operation of this name, such as "query Report"."""
    (found,) = [block for block in blocks(text, "graphql") if block.startswith(f"{operation} ")]
    return found


def test_documented_report_is_read_with_aggregates_scope(demo: Demo) -> None:
    report = documented(API, "query Report")
    answer = ask(demo, "dashboard", report)
    assert "errors" not in answer
    quarters = answer["data"]["practice"]["revenue"]
    assert len(quarters) == 4
    assert answer["data"]["practice"]["aging"]["total"]["amount"] > "0.00"
    (error,) = ask(demo, "client", report)["errors"]
    assert error["extensions"]["scope"] == "aggregates:read"


def test_documented_overdue_query_is_answered(demo: Demo) -> None:
    answer = ask(demo, "dashboard", documented(API, "query Overdue"))
    assert "errors" not in answer
    assert answer["data"]["practice"]["invoices"]["nodes"]
    assert answer["data"]["clients"]["nodes"]


@pytest.mark.parametrize(
    ("text", "operation"),
    [(README, "query Overview"), (API, "query BillingPage")],
    ids=["README", "api"],
)
def test_documented_responses_are_the_demos(demo: Demo, text: str, operation: str) -> None:
    """Compare all but the days and document numbers, which follow the day of the demo's making."""
    (answer,) = blocks(text, "json")
    assert undated(ask(demo, "client", documented(text, operation))) == undated(json.loads(answer))


@pytest.mark.rest
def test_documented_steps_pay(
    forked: demonstration.Run, snapshot: Snapshot, tmp_path: Path
) -> None:
    card = SANDBOX.partition("/sandbox/confirmation_tokens -d '")[2].partition("'")[0]
    mutation = documented(SANDBOX, "mutation PayTheBalance")
    snapshot.copy_to(tmp_path)
    with demonstration.served(tmp_path, run=forked) as own:
        made = httpx.post(f"{own.url}/sandbox/confirmation_tokens", content=card).json()
        answer = ask(own, "client", mutation.replace("ctoken_…", made["id"]))
        again = ask(own, "client", mutation.replace("ctoken_…", made["id"]))
    assert answer["data"]["pay"]["__typename"] == "PaySucceeded"
    assert answer["data"]["pay"]["client"]["balance"]["amount"]["amount"] == "0.00"
    assert answer == again


def undated(value: Any) -> Any:
    if isinstance(value, dict):
        dated = ("number", "date", "periodEnd")
        return {key: undated(item) for key, item in value.items() if key not in dated}
    return [undated(item) for item in value] if isinstance(value, list) else value


def test_pages_of_this_machine_are_allowed_origins(demo: Demo) -> None:
    for origin, allowed in (("http://localhost:5173", True), ("http://localhost.evil.test", False)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        response = httpx.options(f"{demo.url}/graphql", headers=asked)
        assert (response.headers.get("access-control-allow-origin") == origin) is allowed


def test_foreign_host_name_is_refused(demo: Demo) -> None:
    page = {"Accept": "text/html", "Host": "evil.test"}
    response = httpx.get(f"{demo.url}/graphql", headers=page)
    assert response.status_code == 400
    assert demo.tokens["client"] not in response.text


def test_tokens_are_readable_only_by_their_owner(demo: Demo) -> None:
    for path in (demo.folder / ".demo" / "tokens.json", demo.folder / "demo.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((demo.folder / ".demo").stat().st_mode) == 0o700


def test_demo_prints_its_urls_and_tokens(demo: Demo) -> None:
    printed = demo.printed.read_text()
    for needed in (f"{demo.url}/graphql", "curl", *demo.tokens.values(), *demo.tokens):
        assert needed in printed


@pytest.mark.rest
def test_restart_keeps_data_and_tokens_and_another_folder_has_others(
    forked: demonstration.Run, demo: Demo, tmp_path: Path
) -> None:
    with demonstration.served(tmp_path, run=forked) as first:
        before = dict(first.tokens)
        assert not set(before.values()) & set(demo.tokens.values())
    with demonstration.served(tmp_path, run=forked) as second:
        assert second.tokens == before
        assert "Making" not in second.printed.read_text()
    (tmp_path / ".demo" / "tokens.json").unlink()
    with demonstration.served(tmp_path, run=forked) as third:
        assert not set(third.tokens.values()) & set(before.values())
        assert ask(third, "client", "{ client { balance { amount { amount } } } }")["data"]

"""Sign-in by e-mail: a link works once, for half an hour, in the page that requested the mail."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from identity.tokens import Subject
from models import Client, Contact, SignInLink, SignInRequest, Token
from models.ids import new_id
from tests.support.sign_in import NAME, PAGE, SIGN_IN, SIGN_OUT, SigningIn, signing_in

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    async with new_database() as url, signing_in(url) as it:
        yield it


# -- links -----------------------------------------------------------------------------------------


async def test_link_signs_in_its_address(portal: SigningIn) -> None:
    secret, nonce = await portal.link("ana@example.com")
    assert f"{PAGE}#/sign-in/{secret}" in portal.mailbox.text()
    entered = await portal.enter(secret, nonce)
    assert (entered["__typename"], entered["expiresAt"]) == ("SignedIn", "2026-03-16T00:00:00Z")
    viewer = entered["viewer"]
    (sign_in,) = viewer.pop("signIns")
    assert sign_in["isCurrent"]
    assert viewer == {
        "kind": "CLIENT",
        "name": "Ana Prieto",
        "email": "Ana@Example.com",
        "expiresAt": "2026-03-16T00:00:00Z",
        "clients": [{"name": "Ana Prieto"}],
    }
    answer = (await portal.ask(NAME, entered["token"])).json()
    assert answer["data"]["viewer"]["name"] == "Ana Prieto"


async def test_contact_signs_in_and_sees_own_clients(portal: SigningIn) -> None:
    entered = await portal.enter(*await portal.link("gail@example.com"))
    assert entered["viewer"]["kind"] == "CONTACT"
    assert [one["name"] for one in entered["viewer"]["clients"]] == ["Ana Prieto", "Ben Osei"]


@pytest.mark.parametrize("typed", ["ANA@EXAMPLE.COM", "  ana@example.com\t", "Ana@example.Com"])
async def test_case_and_blanks_of_an_address_are_ignored(portal: SigningIn, typed: str) -> None:
    await portal.request(typed)
    (mail,) = await portal.mails()
    # The mail goes to the stored address, not to the typed one.
    assert mail["To"] == "Ana@Example.com"


async def test_changed_address_replaces_the_old_one(portal: SigningIn) -> None:
    await portal.change(Client, portal.client_id, email=" NEW@example.com ")
    await portal.request("ana@example.com")
    assert await portal.mails() == []
    await portal.request("new@example.com")
    (mail,) = await portal.mails()
    assert mail["To"] == "NEW@example.com"


async def test_link_works_once(portal: SigningIn) -> None:
    link = await portal.link()
    assert (await portal.enter(*link))["__typename"] == "SignedIn"
    portal.clock.time += MINUTE
    again = await portal.enter(*link)
    assert (again["__typename"], again["code"]) == ("SignInLinkInvalid", "SIGN_IN_LINK_INVALID")


async def test_result_is_repeated_for_a_minute_in_the_same_page(portal: SigningIn) -> None:
    link = await portal.link()
    first = await portal.enter(*link)
    portal.clock.time += dt.timedelta(seconds=59)
    again = await portal.enter(*link)
    assert again == first
    assert len(await portal.all(Token)) == 1
    other = await portal.request("ana@example.com")
    assert (await portal.enter(link[0], other))["__typename"] == "SignInLinkInvalid"


async def test_result_of_an_ended_sign_in_is_not_repeated(portal: SigningIn) -> None:
    link = await portal.link()
    token = (await portal.enter(*link))["token"]
    await portal.ask(SIGN_OUT, token)
    assert (await portal.enter(*link))["__typename"] == "SignInLinkInvalid"


@pytest.mark.twins(1)
async def test_concurrent_uses_of_a_link_are_one_sign_in(portal: SigningIn) -> None:
    link = await portal.link()
    outcomes = await asyncio.gather(*(portal.enter(*link) for _ in range(15)))
    assert len({outcome["token"] for outcome in outcomes}) == 1
    assert len(await portal.all(Token)) == 1


async def test_each_mails_link_works_until_one_is_used(portal: SigningIn) -> None:
    """Requests by others do not invalidate the owner's link."""
    own = await portal.link()
    other = await portal.link()
    assert (await portal.enter(*own))["__typename"] == "SignedIn"
    assert (await portal.enter(*other))["__typename"] == "SignInLinkInvalid"


async def test_link_expires_after_half_an_hour(portal: SigningIn) -> None:
    late, timely = await portal.link("ben@example.com"), await portal.link()
    portal.clock.time += 30 * MINUTE - dt.timedelta(seconds=1)
    assert (await portal.enter(*timely))["__typename"] == "SignedIn"
    portal.clock.time += dt.timedelta(seconds=1)
    assert (await portal.enter(*late))["__typename"] == "SignInLinkInvalid"


@pytest.mark.parametrize("person", ["client", "contact"])
async def test_link_of_a_changed_address_does_not_sign_in(portal: SigningIn, person: str) -> None:
    email, row, id_ = {
        "client": ("ana@example.com", Client, portal.client_id),
        "contact": ("gail@example.com", Contact, portal.guardian_id),
    }[person]
    link = await portal.link(email)
    await portal.change(row, id_, email="new@example.com")
    assert (await portal.enter(*link))["__typename"] == "SignInLinkInvalid"


async def test_link_opened_in_another_browser_stays_unused(portal: SigningIn) -> None:
    secret, nonce = await portal.link()
    other = await portal.request("ben@example.com")
    for wrong in (other, "", "nonsense"):
        refused = await portal.enter(secret, wrong)
        assert refused["__typename"] == "SignInLinkInvalid"
        assert "in the browser that you asked from" in refused["message"]
        assert "ask for a new mail" in refused["message"]
    assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"


async def test_refusal_of_a_link_does_not_disclose_the_reason(portal: SigningIn) -> None:
    """A used, an old, another's and an unknown link get the same bytes."""
    used, ben = await portal.link(), await portal.link("ben@example.com")
    await portal.enter(*used)
    portal.clock.time += MINUTE
    refused = [await portal.enter(*link) for link in (used, (ben[0], used[1]), ("x" * 43, ben[1]))]
    portal.clock.time += 31 * MINUTE
    refused.append(await portal.enter(*ben))
    assert len(refused) == 4
    assert all(one == refused[0] for one in refused)


async def test_database_contains_neither_secret_nor_nonce_nor_address(portal: SigningIn) -> None:
    secret, nonce = await portal.link()
    (code,) = await portal.codes()
    token = (await portal.enter(secret, nonce))["token"]
    rows = " ".join([repr(await portal.all(row)) for row in (SignInRequest, SignInLink, Token)])
    for hidden in (secret, nonce, token, code, code.replace(" ", ""), "127.0.0.1"):
        assert hidden not in rows
    assert "ana@example.com" not in repr(await portal.all(SignInRequest))


# -- owners of an address --------------------------------------------------------------------------


async def test_address_in_two_practices_gets_one_mail_with_two_links(
    portal: SigningIn,
) -> None:
    await portal.elsewhere("ana@example.com", "https://quay.example/#")
    nonce = await portal.request("ana@example.com")
    first, second = await portal.secrets()
    assert len(portal.mailbox.letters) == 1
    text = portal.mailbox.text()
    assert text.index("Harbor Counseling:") < text.index(first)
    assert text.index("Quay Therapy:") < text.index(second)
    names = [(await portal.enter(one, nonce))["viewer"]["name"] for one in (first, second)]
    assert names == ["Ana Prieto", "Ana P. Prieto"]
    # One sign-in per practice.
    assert [len({row.practice_id for row in await portal.all(Token)})] == [2]


async def test_client_and_contact_of_one_address_get_one_link(portal: SigningIn) -> None:
    await portal.change(Contact, portal.guardian_id, email="ana@example.com")
    entered = await portal.enter(*await portal.link())
    # The sign-in begins as the client.
    assert (entered["viewer"]["kind"], entered["viewer"]["name"]) == ("CLIENT", "Ana Prieto")
    assert len(await portal.secrets()) == 1
    for told in ("Prieto", "Gail"):
        assert told not in portal.mailbox.text()


async def test_practice_without_a_page_sends_no_link(
    portal: SigningIn, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = await portal.elsewhere("cleo@example.com", page=None)
    await portal.request("cleo@example.com")
    assert await portal.mails() == []
    assert f"practice pra_{id_} has no portal_url" in caplog.text


@pytest.mark.parametrize(
    "page", ["http://quay.example/portal/", "javascript:alert(1)", "https://quay.example/#x"]
)
async def test_unsafe_portal_url_gets_no_link(
    portal: SigningIn, caplog: pytest.LogCaptureFixture, page: str
) -> None:
    id_ = await portal.elsewhere("ana@example.com", page)
    await portal.request("ana@example.com")
    (mail,) = await portal.mails()
    assert page not in str(mail)
    assert len(await portal.secrets()) == 1
    assert f"practice pra_{id_} has the portal_url {page!r}" in caplog.text


async def test_portal_url_on_this_machine_gets_links(portal: SigningIn) -> None:
    await portal.elsewhere("cleo@example.com", page="http://127.0.0.1:8000/portal/")
    await portal.request("cleo@example.com")
    assert len(await portal.secrets()) == 1


async def test_address_of_very_many_clients_gets_no_mail(portal: SigningIn) -> None:
    """Such an address is a placeholder for an unknown one."""
    own = {"practice_id": portal.practice_id, "created_at": portal.clock()}
    await portal.insert(
        Client, *({**own, "id": new_id(), "name": "X", "email": "no@mail"} for _ in range(21))
    )
    await portal.request("no@mail")
    assert await portal.mails() == []


async def test_link_leads_to_the_practices_page_for_any_host_header(portal: SigningIn) -> None:
    headers = {"Host": "evil.example", "Origin": "https://evil.example"}
    headers |= {"X-Forwarded-Host": "evil.example", "Referer": "https://evil.example/"}
    portal.http.headers.update(headers)
    await portal.request("ana@example.com")
    (mail,) = await portal.mails()
    assert "evil" not in mail.as_string()
    assert PAGE in portal.mailbox.text()


# -- permissions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "mutation { signOut { signedOut } }",
        'mutation { revokeSignIn(input: {id: "sgn_x"}) { __typename } }',
        "mutation { prepareCard(input: {}) { __typename } }",
        'mutation { requestSignInLink(input: {email: "a"}) { nonce } signOut { signedOut } }',
        'mutation { ...F } fragment F on Mutation { refreshPayment(input: {paymentId: "a"})'
        " { __typename } }",
        "query { signIn }",
        "{ viewer { signIns { id } } }",
    ],
)
async def test_other_fields_need_a_token(portal: SigningIn, query: str) -> None:
    response = await portal.ask(query)
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await portal.all(SignInRequest) == []


async def test_root_typename_of_mutations_needs_no_token(portal: SigningIn) -> None:
    answer = (await portal.ask("mutation { __typename }")).json()
    assert answer == {"data": {"__typename": "Mutation"}}


@pytest.mark.parametrize("more", ["signIn", "requestSignInLink"])
async def test_sign_in_is_the_only_field_of_its_operation(portal: SigningIn, more: str) -> None:
    """Its result is read with the new viewer's permissions."""
    secret, nonce = await portal.link()
    one = f'signIn(input: {{secret: "{secret}", nonce: "{nonce}"}}) {{ __typename }}'
    beside = 'requestSignInLink(input: {email: "a"}) { nonce }' if more != "signIn" else one
    answer = (await portal.ask(f"mutation {{ a: {one} b: {beside} }}")).json()
    assert "data" not in answer
    assert answer["errors"][0]["extensions"]["code"] == "NOT_ALONE"
    assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"


async def test_signed_in_viewer_may_sign_in_as_another(portal: SigningIn) -> None:
    ana, ben = await portal.sign_in(), await portal.link("ben@example.com")
    answer = await portal.ask(SIGN_IN, ana, secret=ben[0], nonce=ben[1])
    assert answer.json()["data"]["signIn"]["viewer"]["name"] == "Ben Osei"
    assert await portal.works(ana)


async def test_sign_in_result_reads_the_viewers_own_rows(portal: SigningIn) -> None:
    query = """mutation($secret: String!, $nonce: String!) {
        signIn(input: {secret: $secret, nonce: $nonce}) { ... on SignedIn { viewer {
            scopes clients { id practice { name } balance { amount { amount } } } } } } }"""
    secret, nonce = await portal.link()
    answer = (await portal.ask(query, secret=secret, nonce=nonce)).json()
    assert answer["data"]["signIn"]["viewer"] == {
        "scopes": ["BILLING_READ", "DOCUMENTS_READ", "PHI_READ"],
        "clients": [
            {
                "id": f"cli_{portal.client_id}",
                "practice": {"name": "Harbor Counseling"},
                "balance": {"amount": {"amount": "0.00"}},
            }
        ],
    }


async def test_refused_operation_does_not_use_up_the_link(portal: SigningIn) -> None:
    """Errors that reading the result would cause are found before the sign-in."""
    query = """mutation($secret: String!, $nonce: String!, $first: Int) {
        signIn(input: {secret: $secret, nonce: $nonce}) { ... on SignedIn { token viewer { name
            clients { id invoices(first: $first) { totalCount } } } } } }"""
    secret, nonce = await portal.link()
    asked = {"secret": secret, "nonce": nonce}
    refused = (await portal.ask(query, **asked, first=0)).json()
    assert "data" not in refused
    assert refused["errors"][0]["extensions"]["code"] == "BAD_PAGE"
    answer = (await portal.ask(query, **asked, first=1)).json()
    assert answer["data"]["signIn"]["viewer"]["clients"][0]["invoices"] == {"totalCount": 0}


async def test_dashboard_has_no_sign_ins(portal: SigningIn) -> None:
    dashboard = await portal.token(Subject(portal.practice_id), scopes=frozenset())
    answer = (await portal.ask("{ viewer { signIns { id } } }", dashboard)).json()
    assert answer == {"data": {"viewer": {"signIns": []}}}

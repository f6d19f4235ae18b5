"""A recording of Stripe itself: statuses, types, codes and names of fields, without values.

`make test-stripe` runs tests/sandbox/test_stripe.py against Stripe, and writes the recording to
`RECORDED`. If that file exists, the same tests compare the double with it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sandbox import calls
from sandbox.errors import StripeError

RECORDED = Path(__file__).parent.parent / "sandbox" / "specification" / "recorded.json"
# Fields that Stripe may include in an error or leave out.
INCIDENTAL = frozenset({"request_log_url", "doc_url", "message"})
# Fields whose values are kept.
WORDS = ("type", "code", "decline_code", "param")


@dataclass(frozen=True)
class Seen:
    """A response without values."""

    call: str
    status: int
    error: dict[str, str]
    fields: list[str]


@dataclass
class Recorder(httpx.AsyncBaseTransport):
    """Transport that records the responses of another one."""

    transport: httpx.AsyncBaseTransport
    seen: list[Seen] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.transport.handle_async_request(request)
        content = await answer.aread()
        self.note(request.method, request.url.path, answer.status_code, content)
        # The content is already decoded.
        kept = {"content-encoding", "transfer-encoding", "content-length"}
        headers = [one for one in answer.headers.raw if one[0].lower().decode() not in kept]
        return httpx.Response(answer.status_code, headers=headers, content=content)

    async def aclose(self) -> None:
        await self.transport.aclose()

    def note(self, method: str, path: str, status: int, content: bytes) -> None:
        try:
            call, _ = calls.find_call(method, path.removeprefix("/v1/"))
        except StripeError:
            # A helper of Stripe's test mode, which differs at the double.
            return
        self.seen.append(seen(f"{call.method} {call.path}", status, json.loads(content)))


def seen(call: str, status: int, answer: Any) -> Seen:
    error = answer.get("error", {})
    words = {name: str(error[name]) for name in WORDS if error.get(name)}
    return Seen(call, status, words, sorted(set(fields(answer))))


def fields(answer: dict[str, Any]) -> Iterable[str]:
    """Yield the names of a response's fields: a list's are those of its items."""
    if answer.get("object") == "list":
        yield from (f"data.{name}" for item in answer["data"] for name in item)
    if "error" in answer:
        yield from (f"error.{name}" for name in answer["error"] if name not in INCIDENTAL)
    yield from answer


# -- file ------------------------------------------------------------------------------------------


def write(path: Path, test: str, found: list[Seen], version: str) -> None:
    """Write the responses of a test to the file, and keep those of other tests."""
    kept = read(path) or {"version": version, "tests": {}}
    kept["version"] = version
    kept["tests"][test] = [asdict(one) for one in found]
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def read(path: Path) -> dict[str, Any] | None:
    """Return the recording, or None if there is none."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def differences(recorded: dict[str, Any], test: str, found: list[Seen]) -> list[str]:
    """List the differences between the double's responses in a test and Stripe's."""
    theirs = [Seen(**one) for one in recorded["tests"].get(test, [])]
    if not theirs:
        return [f"nothing was recorded of {test}: run make test-stripe again"]
    if [one.call for one in theirs] != [one.call for one in found]:
        return [f"other calls were recorded of {test}: run make test-stripe again"]
    told = []
    for stripes, ours in zip(theirs, found, strict=True):
        if (stripes.status, stripes.error) != (ours.status, ours.error):
            told.append(
                f"{ours.call}: Stripe answers {stripes.status} {stripes.error},"
                f" the double {ours.status} {ours.error}"
            )
        elif stripes.fields != ours.fields:
            odd = sorted(set(stripes.fields) ^ set(ours.fields))
            told.append(f"{ours.call}: only one of them has {', '.join(odd)}")
    return told

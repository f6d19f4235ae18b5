"""The portal page's calls of Stripe.js, checked by tsc against Stripe's published types."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import nodejs
from billing.stripe import release
from tests.conftest import do_without
from tests.support.demo_server import PROJECT

WEB = PROJECT / "web"
TYPES = WEB / "node_modules" / "@stripe" / "stripe-js"
TSC = WEB / "node_modules" / "typescript" / "bin" / "tsc"
HOW_TO_GET = "run `make test`, which installs the packages of web/package-lock.json"
# The version in web/package.json.
NODE = 18
STAND_IN = "sandbox/web/stripe.js"
FIELDS, NEW_CARD = "web/portal/card-fields.js", "web/portal/views/new-card.js"
AMOUNTS = "web/portal/amounts.js"
PAY, PAYING, LOADER = "web/portal/views/pay.js", "web/portal/paying.js", "web/portal/stripe.js"

# Mistakes that tsc must find: a name, the file, the text there, the text written instead.
MISUSES = [
    ("an option misspelt", FIELDS, "paymentMethodTypes:", "paymentMethodTyps:"),
    ("an option of another type", FIELDS, 'paymentMethodTypes: ["card"]', "paymentMethodTypes: 1"),
    ("a wallet unknown", FIELDS, "link: offered(link)", "hyperlink: offered(link)"),
    ("a wallet's word", FIELDS, 'isOffered ? "auto"', 'isOffered ? "on"'),
    ("no await", FIELDS, "await this.form.elements.submit()", "this.form.elements.submit()"),
    ("no await of a token", FIELDS, "await stripe.createConf", "stripe.createConf"),
    ("a call that is gone", FIELDS, "stripe.confirmSetup(", "stripe.confirmCardSetupNow("),
    ("an argument too many", FIELDS, '"if_required" }', '"if_required", wait: 1 }'),
    ("a redirect unknown", FIELDS, '"if_required"', '"if_needed"'),
    ("a detail misnamed", FIELDS, "address: { postal_code }", "address: { zip: postal_code }"),
    ("a result misread", FIELDS, "confirmationToken.id;", "confirmationToken.token;"),
    ("an event unknown", FIELDS, '.on("loaderror"', '.on("failed"'),
    ("a mode unknown", NEW_CARD, 'mode: "setup"', 'mode: "set-up"'),
    ("a usage unknown", NEW_CARD, '"on_session"', '"online"'),
    ("a status unknown", NEW_CARD, '=== "requires_action"', '=== "needs_action"'),
    ("an error of another kind", NEW_CARD, ".last_setup_error", ".last_payment_error"),
    ("an amount as text", PAY, "amount: stripe", "amount: payable.amount || stripe"),
    ("an amount computed as text", AMOUNTS, "Number(whole +", "String(whole +"),
    ("a usage cleared wrongly", PAY, '? "on_session" : null', '? "on_session" : false'),
    ("a secret misnamed", PAYING, "Action({ clientSecret })", "Action({ secret: clientSecret })"),
    ("an account misnamed", LOADER, "{ stripeAccount }", "{ account: stripeAccount }"),
    ("a key that may be missing", LOADER, "window.Stripe(key,", "window.Stripe(publishableKey,"),
    ("the stand-in's own option", STAND_IN, '["mode", "amount",', '["mode", "sum",'),
    ("the stand-in's own update", STAND_IN, '["mode", "amount", "currency", "setupFutureUsage", '
     '"paymentMethodTypes", "appearance"]', '["mode", "futureUsage"]'),
    ("the stand-in's own result", STAND_IN, "{ paymentIntent: intent }", "{ intent }"),
    ("the stand-in's own error", STAND_IN, '"invalid_request_error"', '"challenge_error"'),
    ("the stand-in without a call", STAND_IN, "async retrieveSetupIntent(", "async retrieve("),
]  # fmt: skip


@pytest.fixture
def tsc(request: pytest.FixtureRequest) -> Sequence[str]:
    """Return the command that runs tsc."""
    programs = [program for version, program in nodejs.said() if major(version) >= NODE]
    if not programs or not TSC.exists() or not TYPES.exists():
        do_without(request.config, "tsc", HOW_TO_GET)
    return [programs[0], str(TSC)]


def major(version: str) -> int:
    return int(version.partition(".")[0])


def checked(tsc: Sequence[str], settings: Path) -> dict[str, list[str]]:
    """Run tsc, and return its complaints by the folder below `settings` that each is about."""
    command = [*tsc, "-p", settings.name, "--pretty", "false"]
    done = subprocess.run(
        command, cwd=settings.parent, capture_output=True, text=True, check=False, timeout=300
    )
    complaints: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if match := re.match(r"([^(]+)\(\d+,\d+\): error", line):
            complaints.setdefault(match[1].split("/")[0], []).append(line)
    assert bool(complaints) == bool(done.returncode), done.stdout + done.stderr
    return complaints


def test_stripes_types_are_of_the_release_train() -> None:
    if not TYPES.exists():
        pytest.skip(HOW_TO_GET)
    declared = (TYPES / "dist" / "shared.d.ts").read_text()
    assert re.findall(r"ReleaseTrain = '(\w+)'", declared) == [release.TRAIN]
    assert release.STRIPE_JS.split("/")[3] == release.TRAIN


@pytest.mark.rest
def test_page_calls_stripe_as_its_types_require(tsc: Sequence[str]) -> None:
    assert checked(tsc, WEB / "tsconfig.json") == {}


@pytest.mark.rest
def test_wrong_calls_are_found(tsc: Sequence[str], tmp_path: Path) -> None:
    """Each mistake is made in a copy of its own, and one run of tsc checks all copies."""
    settings = json.loads((WEB / "tsconfig.json").read_text())
    options = settings["compilerOptions"]
    options["paths"] = {"@stripe/stripe-js": [str(TYPES / "dist" / "index.d.ts")]}
    names = ["untouched", *(name for name, *_ in MISUSES)]
    folders = {f"case{number}": name for number, name in enumerate(names)}
    sources = [(WEB / one).resolve().relative_to(PROJECT) for one in settings["files"][1:]]
    shutil.copy(WEB / "portal.d.ts", tmp_path)
    for folder in folders:
        shutil.copytree(WEB / "portal", tmp_path / folder / "web" / "portal")
        (tmp_path / folder / STAND_IN).parent.mkdir(parents=True)
        shutil.copy(PROJECT / STAND_IN, tmp_path / folder / STAND_IN)
    for folder, (_, file, before, after) in zip(list(folders)[1:], MISUSES, strict=True):
        path = tmp_path / folder / file
        text = path.read_text()
        assert before in text, (file, before)
        path.write_text(text.replace(before, after, 1))
    settings["files"] = ["portal.d.ts", *(f"{one}/{path}" for one in folders for path in sources)]
    (tmp_path / "tsconfig.json").write_text(json.dumps(settings))

    complaints = checked(tsc, tmp_path / "tsconfig.json")
    unfound = {name for folder, name in folders.items() if folder not in complaints}
    assert unfound == {"untouched"}

"""The practice's operator, with `portal refund` and the sentences that it prints.

The command is the real one, in a process that may be killed or stopped at any place.
"""

import asyncio
import random
import re
import shlex

from tests.payments.campaign.answers import Intention
from tests.payments.campaign.servers import Pool

# The most runs of a command that was killed or did not learn the outcome, and the share of double
# runs.
RUNS, TWICE = 12, 0.15
EXIT = re.compile(r"^exit (\d+)$", re.MULTILINE)
DONE = re.compile(r"^(?P<amount>[\d.]+) \w+ of pmt_\S+: (?P<state>\w+) \((?P<id>re_\w+)\)", re.M)
# The command's output before it asks Stripe, and its request to resume an earlier refund.
RESUME = re.compile(r"^  portal (?P<command>refund pmt_\S+ .*--key (?P<key>\S+).*)$", re.MULTILINE)
RESUMABLE = "resume it by"
EARLIER = re.compile(r"Resume it first: --key (?P<key>\S+)")
NEW_KEY = "choose a new key"
AGAIN = re.compile(r"Resume the refund later|can't be used now|Traceback")


class Operator:
    """An operator, who runs the command again until it is done or refuses."""

    def __init__(self, pool: Pool, environment: dict[str, str], seed: str) -> None:
        self.pool, self.environment = pool, environment
        self.random = random.Random(f"{seed}:operator")
        self.danger = True
        # The intention of each key, as an office records it: the first to get a key owns it.
        self.owners: dict[str, Intention] = {}
        # Refunds in progress. They continue when their client leaves.
        self.underway: set[asyncio.Task[None]] = set()

    async def refund(self, intention: Intention) -> None:
        """Give a refund to its end, even if the caller no longer waits.

        An operator has to read the command's output. Otherwise the operator would take the refund
        for another one, and choose a new key for it.
        """
        task = asyncio.create_task(self.give(intention))
        self.underway.add(task)
        task.add_done_callback(self.underway.discard)
        await asyncio.shield(task)

    async def give(self, intention: Intention) -> None:
        if intention.key is not None:
            self.owners.setdefault(intention.key, intention)
        for _ in range(RUNS):
            if intention.is_over:
                return
            earlier, arguments = intention.earlier, self.arguments(intention)
            # An impatient operator runs the command in a second window. Only the same key is the
            # same refund.
            twice = intention.key is not None and self.random.random() < TWICE
            runs = [self.run(arguments) for _ in range(2 if twice else 1)]
            for printed in await asyncio.gather(*runs):
                if earlier is None:
                    self.read(intention, printed)
                else:
                    self.read_earlier(intention, printed)

    def arguments(self, intention: Intention) -> list[str]:
        if intention.earlier is not None:
            return ["refund", f"pmt_{intention.payment_id}", "--key", intention.earlier]
        if intention.command is not None:
            return shlex.split(intention.command)
        command = ["refund", f"pmt_{intention.payment_id}"]
        if intention.amount is not None and not intention.is_resumed:
            command += ["--amount", f"{intention.amount / 100:.2f}"]
        return command + (["--key", intention.key] if intention.key else [])

    async def run(self, arguments: list[str]) -> str:
        """Run the command, and return its output up to its end or its death."""
        printed = self.pool.folder / f"command-{self.pool.forks}.txt"
        given = {"arguments": arguments, "environment": self.environment, "printed": str(printed)}
        process = self.pool.fork("command", danger=self.danger, **given)
        await self.pool.end_of(process)
        self.pool.counts["refund commands"] += 1
        text = printed.read_text() if printed.exists() else ""
        printed.unlink(missing_ok=True)
        return text

    def read(self, intention: Intention, printed: str) -> None:
        """Note the result that the command printed, and its instruction for the next run."""
        intention.runs += 1
        intention.printed.append(printed)
        if done := DONE.search(printed):
            intention.refund_id = done["id"]
            intention.refunded = round(float(done["amount"]) * 100)
        elif resume := RESUME.search(printed):
            intention.command, intention.key = resume["command"], resume["key"]
            self.owners.setdefault(resume["key"], intention)
        elif earlier := EARLIER.search(printed):
            if self.owners.setdefault(earlier["key"], intention) is intention:
                intention.key, intention.is_resumed = earlier["key"], True
            else:
                intention.earlier = earlier["key"]
        elif NEW_KEY in printed and intention.key is None:
            intention.key = f"again-{self.random.getrandbits(64):x}"
        ended = EXIT.search(printed)
        # An instruction that this parser missed would not be followed.
        assert ended is None or RESUMABLE not in printed or RESUME.search(printed), printed
        if ended is None or ended[1] == "0" or AGAIN.search(printed) or EARLIER.search(printed):
            return
        if NEW_KEY not in printed:
            intention.refusal = printed[: ended.start()].strip()

    def read_earlier(self, intention: Intention, printed: str) -> None:
        """Record whether the earlier refund, which had to be resumed first, has an outcome."""
        intention.runs += 1
        intention.printed.append(printed)
        if EXIT.search(printed) and not AGAIN.search(printed):
            intention.earlier = None

"""The portal's processes during a campaign: forked, watched, woken, forked again."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.payments.campaign.crashes import Danger
from tests.support.demo_server import free_port
from tests.support.process_pool import Nursery

STARTS_WITHIN_S = 60
LOOKS_EVERY_S = 0.05
# Seconds of a stop: mostly shorter than others wait for the process, sometimes longer.
SHORT_S, LONG_S, LONG_SHARE = (0.1, 1.5), (2.5, 5.0), 0.15
# Seconds between kills and stops from outside, at any place.
HARMED_EVERY_S = (8.0, 20.0)
# Probability of each kind, per place that a process passes.
OFTEN = {"killed": 0.0012, "stopped": 0.0008, "inside": 0.003}


class Pool:
    """The forks of the warmed process, and their ends."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.folder, self.seed = folder, seed
        self.random = random.Random(f"{seed}:pool")
        self.counts: Counter[str] = Counter()
        self.forks = 0
        self.waking: dict[int, float] = {}

    def fork(self, kind: str, *, danger: bool, **given: Any) -> int:
        self.forks += 1
        armed = Danger(f"{self.seed}:{self.forks}", str(self.log), **OFTEN)
        asked = vars(armed) if danger else None
        return self.nursery.born(kind=kind, danger=asked, **given)

    @cached_property
    def nursery(self) -> Nursery:
        return Nursery("tests.payments.campaign.worker")

    @property
    def log(self) -> Path:
        """Return the file in which processes record that they are about to die or stop."""
        return self.folder / "crashes.txt"

    def close(self) -> None:
        if "nursery" in vars(self):
            self.nursery.close()

    def look(self, process: int) -> bool:
        """Return whether the process lives. Continue a stopped one when its time has come."""
        state = state_of(process)
        if state == "Z":
            self.waking.pop(process, None)
            self.nursery.reaped(process)
            return False
        if state == "T":
            if process not in self.waking:
                self.waking[process] = time.monotonic() + self.sleep_s()
            elif time.monotonic() > self.waking[process]:
                del self.waking[process]
                self.counts["woken"] += 1
                os.kill(process, signal.SIGCONT)
        return True

    async def end_of(self, process: int) -> None:
        """Wait until a process has ended."""
        while self.look(process):  # noqa: ASYNC110 (no signal for a grandchild's end)
            await asyncio.sleep(LOOKS_EVERY_S)

    def sleep_s(self) -> float:
        is_long = self.random.random() < LONG_SHARE
        return self.random.uniform(*(LONG_S if is_long else SHORT_S))

    def kill(self, process: int) -> None:
        os.kill(process, signal.SIGKILL)
        self.waking.pop(process, None)
        self.nursery.reaped(process)

    def crashes(self) -> Counter[str]:
        """Return the numbers of kills and stops, by kind."""
        found = Counter(self.counts)
        if self.log.exists():
            lines = self.log.read_text().splitlines()
            found.update(line.partition("\t")[0] for line in lines)
        return found

    def places(self) -> Counter[str]:
        """Return the numbers of crashes at each place."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return Counter(lines)


def state_of(process: int) -> str:
    """Return Linux's letter for a process's state: R, S, T (stopped), Z (ended)."""
    stat = Path(f"/proc/{process}/stat").read_text()
    return stat.rpartition(")")[2].split()[0]


@dataclass
class Slot:
    """A port, and the process that serves on it."""

    port: int
    process: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Servers:
    """Several servers over one database."""

    def __init__(self, pool: Pool, settings: dict[str, Any], count: int) -> None:
        self.pool, self.settings, self.count = pool, settings, count
        self.slots: list[Slot] = []
        self.danger, self.later_s = False, 0.0
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, *, danger: bool, later_s: float) -> None:
        self.danger, self.later_s = danger, later_s
        self.slots = []
        for _ in range(self.count):
            port = free_port()
            self.slots.append(Slot(port, self.fork(port)))
        for slot in self.slots:
            await self.ready(slot)
        self.tasks = [asyncio.create_task(self.watch())]
        if danger:
            self.tasks.append(asyncio.create_task(self.harm()))

    def fork(self, port: int) -> int:
        printed = str(self.pool.folder / f"server-{port}.txt")
        given = {"port": port, "settings": self.settings, "later_s": self.later_s}
        return self.pool.fork("server", danger=self.danger, printed=printed, **given)

    async def ready(self, slot: Slot) -> None:
        """Wait until the server answers, or has crashed already."""
        until = time.monotonic() + STARTS_WITHIN_S
        async with httpx.AsyncClient() as http:
            while time.monotonic() < until:
                try:
                    if (await http.get(f"{slot.address}/readyz")).is_success:
                        return
                except httpx.HTTPError:
                    if not self.pool.look(slot.process):
                        if not self.danger:
                            raise AssertionError("a server ended unexpectedly") from None
                        slot.process = self.fork(slot.port)
                    await asyncio.sleep(LOOKS_EVERY_S)
        raise AssertionError(f"{slot.address} did not start")

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for slot in self.slots:
            self.pool.kill(slot.process)
        self.slots = []

    async def watch(self) -> None:
        """Fork servers that have died again, and wake those that have stopped."""
        while True:
            for slot in self.slots:
                if not self.pool.look(slot.process):
                    if not self.danger:
                        self.pool.counts["ended by itself"] += 1
                    slot.process = self.fork(slot.port)
            await asyncio.sleep(LOOKS_EVERY_S)

    async def harm(self) -> None:
        """Kill or stop one of the servers, at any place."""
        chance = self.pool.random
        while True:
            await asyncio.sleep(chance.uniform(*HARMED_EVERY_S))
            slot = chance.choice(self.slots)
            kind, number = chance.choice(
                [("killed from outside", signal.SIGKILL), ("stopped from outside", signal.SIGSTOP)]
            )
            self.pool.counts[kind] += 1
            os.kill(slot.process, number)

    def any(self, chance: random.Random) -> str:
        return chance.choice(self.slots).address

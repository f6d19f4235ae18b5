"""The numbers of a process at a moment, and the sum over all processes of one server.

A scrape reaches one of several processes. So each of them writes its snapshot to a file in a folder
that `portal serve` makes, every few seconds, and the one that is asked adds the others' to its own.
Counts of a process that has ended are kept: a counter never goes back.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine

from models.measures import MEASURES, CountMeasure

# The folder of several processes, set by `portal serve`.
FOLDER = "PORTAL_METRICS_FOLDER"
# A sample is its labels and its numbers: one, or those of each bucket and then the sum.
Numbers = list[float]
Samples = dict[tuple[str, ...], Numbers]
Snapshot = dict[str, Samples]
# Reads the numbers that go up and down, by their measure and labels.
Gauges = Callable[[], Mapping[str, Mapping[tuple[str, ...], float]]]


def take_snapshot(gauges: Gauges) -> Snapshot:
    """Return the numbers of this process."""
    found: Snapshot = {
        name: {labels: [value] for labels, value in values.items()}
        for name, values in gauges().items()
    }
    for measure in MEASURES:
        if isinstance(measure, CountMeasure):
            found[measure.name] = {labels: [n] for labels, n in measure.values.items()}
        else:
            found[measure.name] = {
                labels: [*counts, measure.sums[labels]]
                for labels, counts in measure.buckets.items()
            }
    return found


def add_up(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum of snapshots, number by number."""
    total: dict[str, Samples] = defaultdict(dict)
    for snapshot in snapshots:
        for name, samples in snapshot.items():
            for labels, numbers in samples.items():
                known = total[name].get(labels)
                pairs = zip(known, numbers, strict=True) if known else None
                total[name][labels] = [a + b for a, b in pairs] if pairs else numbers
    return dict(total)


class SharedSnapshots:
    """The snapshots of a server's processes, in a folder. A single process needs none."""

    def __init__(self, gauges: Gauges, folder: Path | None) -> None:
        self.gauges, self.folder = gauges, folder

    @classmethod
    def of_environment(cls, gauges: Gauges) -> "SharedSnapshots":
        folder = os.environ.get(FOLDER)
        return cls(gauges, Path(folder) if folder else None)

    async def write(self) -> None:
        """Write this process's snapshot, so that others never see half of it."""
        if self.folder is None:
            return
        own = self.folder / f"{os.getpid()}.json"
        part = own.with_suffix(".part")
        part.write_text(written(take_snapshot(self.gauges)))
        part.rename(own)

    def total(self) -> Snapshot:
        """Return the sum over all processes: this one's of now, the others' as last written."""
        own = take_snapshot(self.gauges)
        return add_up([own, *self.of_others(own.keys() - {one.name for one in MEASURES})])

    def of_others(self, gauges: Iterable[str]) -> Iterable[Snapshot]:
        for file in self.folder.glob("*.json") if self.folder else ():
            if file.stem == str(os.getpid()):
                continue
            snapshot = read(file.read_text())
            if not is_running(int(file.stem)):
                for name in gauges:
                    snapshot.pop(name, None)
            yield snapshot


def in_use(engine: AsyncEngine) -> int:
    """Return the number of an engine's connections that are in use."""
    pool = engine.sync_engine.pool
    return pool.checkedout() if isinstance(pool, QueuePool) else 0


def written(snapshot: Snapshot) -> str:
    rows: Mapping[str, Sequence[Any]] = {
        name: [[labels, numbers] for labels, numbers in samples.items()]
        for name, samples in snapshot.items()
    }
    return json.dumps(rows)


def read(text: str) -> Snapshot:
    return {
        name: {tuple(labels): numbers for labels, numbers in samples}
        for name, samples in json.loads(text).items()
    }


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

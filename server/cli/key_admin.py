"""Keys on the command line: what uses them, and encryption with the newest one."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from billing.documents.links import LASTS as LINK_LASTS
from billing.reencryption import EncryptedCount, count_by_key, reencrypt
from identity.key_usage import KeyUse, KeyUses, uses_of_keys
from models import database
from server.clock import utc_now
from server.settings import Settings

MINUTES = int(LINK_LASTS.total_seconds() // 60)
UNUSED_SINCE = (
    "Keep it until they were used or have expired: {:%Y-%m-%d %H:%M} UTC at the latest. Tokens that"
    " nobody uses are listed by `portal token list` and ended by `portal token revoke`."
)
DROPPABLE = (
    f"Nothing uses it. It may be dropped {MINUTES} minutes after the last server started with the"
    " first key as its first: document links of earlier servers work for so long."
)
UNKNOWN = "TOKEN_KEY does not have this key, so these rows can't be used."


@dataclass(frozen=True)
class KeyReport:
    """The uses of the keys of TOKEN_KEY, by the keys' ids, and of those of FIELD_KEY."""

    key_ids: Sequence[str]
    uses: KeyUses
    fields: EncryptedCount
    field_keys: int

    def lines(self) -> Iterator[str]:
        """Yield the report for an operator."""
        for place, id_ in enumerate(self.all_ids()):
            used = self.used_by(id_)
            counted = ", ".join(f"{kind} {use.count:,}" for kind, use in used.items())
            yield f"TOKEN_KEY {id_}: {counted or 'no rows'}. {self.advice(place, id_)}"
        yield from self.field_lines()

    def all_ids(self) -> list[str]:
        """Return the ids of the keys in their order, and then those of unknown keys with rows."""
        found = {id_ for uses in self.uses.values() for id_ in uses}
        return [*self.key_ids, *sorted(found - set(self.key_ids))]

    def used_by(self, id_: str) -> Mapping[str, KeyUse]:
        return {kind: uses[id_] for kind, uses in self.uses.items() if id_ in uses}

    def advice(self, place: int, id_: str) -> str:
        if place == 0:
            return "New rows get this key."
        if id_ not in self.key_ids:
            return UNKNOWN
        until = self.in_use_until(id_)
        return DROPPABLE if until is None else UNUSED_SINCE.format(until)

    def in_use_until(self, id_: str) -> dt.datetime | None:
        """Return when the last row of a key expires, or None if no row has the key."""
        return max((use.until for use in self.used_by(id_).values()), default=None)

    def field_lines(self) -> Iterator[str]:
        if not self.field_keys:
            yield "FIELD_KEY is not set."
            return
        count = self.fields
        yield f"FIELD_KEY: {count.newest:,} fields are encrypted with the first key."
        if count.older:
            yield f"{count.older:,} fields have an older key: run `portal keys rotate`."
        elif self.field_keys > 1:
            yield (
                "No field has an older key: the older keys may be dropped. Keep them with the"
                " backups that were made before."
            )
        if count.unknown:
            yield f"{count.unknown:,} fields can't be decrypted with any key of FIELD_KEY."

    def as_json(self, changed: int | None = None) -> str:
        """Return the report for programs, with the number of fields that were changed."""
        keys = [
            {
                "id": id_,
                "known": id_ in self.key_ids,
                "inUseUntil": until.isoformat() if (until := self.in_use_until(id_)) else None,
                "rows": {kind: use.count for kind, use in self.used_by(id_).items()},
            }
            for id_ in self.all_ids()
        ]
        report = {"tokenKeys": keys, "fields": asdict(self.fields), "reencrypted": changed}
        return json.dumps(report)


async def key_report(settings: Settings) -> KeyReport:
    """Return what uses each key now."""
    async with database.open_engine(settings.database_url) as engine:
        async with engine.connect() as conn:
            uses = await uses_of_keys(conn, utc_now())
        fields = await count_by_key(engine, settings.field_keys)
    return KeyReport(settings.token_keys.ids, uses, fields, len(settings.field_key))


async def reencrypt_fields(settings: Settings) -> int:
    """Encrypt all fields with the first key. Return the number of changed fields."""
    async with database.open_engine(settings.database_url) as engine:
        return sum([changed async for changed in reencrypt(engine, settings.field_keys)])

"""Checks of the practices' rows: settings that no constraint can check, and encrypted tax ids."""

from sqlalchemy import func, select

from models import Letterhead, Practice
from server import practice_check
from server.cli.checks.check import CheckContext, CheckResult, listed

NO_PRACTICE = "There is no practice yet."
WRONG_FIELD_KEY = (
    "FIELD_KEY decrypts {} of {} tax ids: superbills of the others are printed without one. Add the"
    " key that encrypted them."
)


async def check_practices(context: CheckContext) -> CheckResult:
    async with context.engine.connect() as conn:
        count = await conn.scalar(select(func.count()).select_from(Practice)) or 0
        faults = await practice_check.wrong_settings(conn)
    if faults:
        return CheckResult.failed(listed(faults))
    if not count:
        return CheckResult.warning(NO_PRACTICE)
    return CheckResult.ok(f"Practices: {count:,}. Time zones, locales and addresses are known.")


async def check_tax_ids(context: CheckContext) -> CheckResult:
    statement = select(Letterhead.tax_id_encrypted).where(Letterhead.tax_id_encrypted.is_not(None))
    keys, total, read = context.settings.field_keys, 0, 0
    async with context.engine.connect() as conn:
        async for encrypted in await conn.stream_scalars(statement):
            total += 1
            read += encrypted is not None and keys.read(encrypted) is not None
    if read < total:
        return CheckResult.failed(WRONG_FIELD_KEY.format(f"{read:,}", f"{total:,}"))
    return CheckResult.ok(f"FIELD_KEY decrypts every tax id: {total:,}.")

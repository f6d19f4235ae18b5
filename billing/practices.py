"""Settings of a practice that no constraint of the database can check: the time zone, the locale
and the address of the portal page.
"""

from collections.abc import Iterator
from functools import cache

from babel import Locale, UnknownLocaleError

from billing.public_urls import parse_public_url
from billing.time_zones import zone

UNKNOWN_ZONE = "the time zone {!r}, which does not exist"


class PracticeMisconfigured(Exception):
    """A practice has a setting that this server does not know. The text is for the operator."""


@cache
def locale(tag: str) -> Locale | None:
    """Return the locale of a BCP 47 tag, or of its language alone if the region is unknown."""
    for part in (tag, tag.partition("-")[0]):
        try:
            return Locale.parse(part, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return None


def check_zone(practice_id: str, time_zone: str) -> None:
    """Raise PracticeMisconfigured if the practice's time zone is unknown."""
    if zone(time_zone) is None:
        raise PracticeMisconfigured(f"pra_{practice_id} has {UNKNOWN_ZONE.format(time_zone)}")


def portal_url_fault(portal_url: str) -> str | None:
    """Return the reason why no link may lead to a practice's page, or None if a link may."""
    try:
        parse_public_url(portal_url)
    except ValueError as error:
        return f"the portal_url {portal_url!r}, which {error}"
    return None


def faults(
    practice_id: str, time_zone: str, tag: str, portal_url: str | None = None
) -> Iterator[str]:
    """Yield a line for each setting of a practice that this server can't use."""
    if zone(time_zone) is None:
        yield f"pra_{practice_id} has {UNKNOWN_ZONE.format(time_zone)}"
    if locale(tag) is None:
        yield f"pra_{practice_id} has the locale {tag!r}, which does not exist"
    if portal_url is not None and (fault := portal_url_fault(portal_url)):
        yield f"pra_{practice_id} has {fault}"

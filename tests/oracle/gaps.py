"""Facts that an insurer needs, and that a superbill lacks."""

from dataclasses import dataclass
from typing import Any

from models import Letterhead, SuperbillDiagnosis, SuperbillLine
from tests.oracle.shown import Shown
from tests.oracle.world import World


@dataclass(frozen=True)
class Gap:
    code: str
    message: str
    line: int | None = None


class Completeness(Shown):
    """The completeness of a superbill's row."""

    @property
    def missing(self) -> list[Gap]:
        return [*of_head(self.world, self.row), *of_lines(self.world, self.row)]

    @property
    def is_complete(self) -> bool:
        return self.missing == []


def of_head(world: World, superbill: Any) -> list[Gap]:
    provider = world.by_id(Letterhead, superbill.letterhead_id)
    rendering = world.by_id(Letterhead, superbill.rendering_letterhead_id)
    diagnoses = world.where(SuperbillDiagnosis, superbill_id=superbill.id)
    printed = [
        (provider.npi, Gap("PROVIDER_NPI", "The provider has no NPI.")),
        (provider.tax_id_encrypted, Gap("PROVIDER_TAX_ID", "The provider has no tax id.")),
        (provider.address_line1, Gap("PROVIDER_ADDRESS", "The provider has no address.")),
        (
            rendering is None or rendering.npi,
            Gap("RENDERING_PROVIDER_NPI", "The rendering provider has no NPI."),
        ),
        (
            superbill.client_date_of_birth,
            Gap("CLIENT_DATE_OF_BIRTH", "The date of birth is missing."),
        ),
        (superbill.address_line1, Gap("CLIENT_ADDRESS", "The address of the client is missing.")),
        (next(iter(diagnoses), None), Gap("DIAGNOSIS", "There is no diagnosis.")),
    ]
    return [gap for fact, gap in printed if fact is None]


def of_lines(world: World, superbill: Any) -> list[Gap]:
    """Return missing codes of all visits first, then missing places."""
    rows = world.where(SuperbillLine, superbill_id=superbill.id)
    lines = sorted(rows, key=lambda line: line.position)
    codes = [line.position for line in lines if line.cpt_code is None]
    places = [line.position for line in lines if line.place_of_service is None]
    return [
        *(Gap("CPT_CODE", "The visit has no CPT code.", line) for line in codes),
        *(Gap("PLACE_OF_SERVICE", "The visit has no place of service.", line) for line in places),
    ]

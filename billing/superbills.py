"""The gaps of a superbill: data that an insurer needs and the superbill lacks."""

import enum
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Text, cast, literal_column, null, select

from models.literals import constant


class SuperbillGapCode(enum.StrEnum):
    PROVIDER_NPI = "PROVIDER_NPI"
    PROVIDER_TAX_ID = "PROVIDER_TAX_ID"
    PROVIDER_ADDRESS = "PROVIDER_ADDRESS"
    RENDERING_PROVIDER_NPI = "RENDERING_PROVIDER_NPI"
    CLIENT_DATE_OF_BIRTH = "CLIENT_DATE_OF_BIRTH"
    CLIENT_ADDRESS = "CLIENT_ADDRESS"
    DIAGNOSIS = "DIAGNOSIS"
    CPT_CODE = "CPT_CODE"
    PLACE_OF_SERVICE = "PLACE_OF_SERVICE"


GAP_MESSAGES = {
    SuperbillGapCode.PROVIDER_NPI: "The provider has no NPI.",
    SuperbillGapCode.PROVIDER_TAX_ID: "The provider has no tax id.",
    SuperbillGapCode.PROVIDER_ADDRESS: "The provider has no address.",
    SuperbillGapCode.RENDERING_PROVIDER_NPI: "The rendering provider has no NPI.",
    SuperbillGapCode.CLIENT_DATE_OF_BIRTH: "The date of birth is missing.",
    SuperbillGapCode.CLIENT_ADDRESS: "The address of the client is missing.",
    SuperbillGapCode.DIAGNOSIS: "There is no diagnosis.",
    SuperbillGapCode.CPT_CODE: "The visit has no CPT code.",
    SuperbillGapCode.PLACE_OF_SERVICE: "The visit has no place of service.",
}
ORDER = list(SuperbillGapCode)


def head_gaps(superbill: Any, letterhead: Any, has_diagnosis: Any) -> list[Select[Any]]:
    """Select the gaps of provider, client and diagnoses: one query each, of one row or none."""
    missing = {
        SuperbillGapCode.PROVIDER_NPI: letterhead.c.npi.is_(None),
        SuperbillGapCode.PROVIDER_TAX_ID: letterhead.c.tax_id_encrypted.is_(None),
        SuperbillGapCode.PROVIDER_ADDRESS: letterhead.c.address_line1.is_(None),
        SuperbillGapCode.CLIENT_DATE_OF_BIRTH: superbill.c.client_date_of_birth.is_(None),
        SuperbillGapCode.CLIENT_ADDRESS: superbill.c.address_line1.is_(None),
        SuperbillGapCode.DIAGNOSIS: ~has_diagnosis,
    }
    return [gap(code, cast(null(), Integer), condition) for code, condition in missing.items()]


def rendering_gap(letterhead: Any) -> Select[Any]:
    """Select the gap of a rendering provider that is not the billing provider."""
    code = SuperbillGapCode.RENDERING_PROVIDER_NPI
    return gap(code, cast(null(), Integer), letterhead.c.npi.is_(None))


def line_gaps(line: Any) -> list[Select[Any]]:
    """Select the gaps of each visit."""
    missing = {
        SuperbillGapCode.CPT_CODE: line.c.cpt_code.is_(None),
        SuperbillGapCode.PLACE_OF_SERVICE: line.c.place_of_service.is_(None),
    }
    return [gap(code, line.c.position, condition) for code, condition in missing.items()]


def gap(
    code: SuperbillGapCode, line: ColumnElement[Any], condition: ColumnElement[bool]
) -> Select[Any]:
    columns: list[ColumnElement[Any]] = [
        constant(ORDER.index(code)).label("rank"),
        constant(code).label("code"),
        line.label("line"),
        literal_column(f"'{GAP_MESSAGES[code]}'", Text).label("message"),
    ]
    return select(*columns).where(condition)

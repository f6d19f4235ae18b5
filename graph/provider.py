"""Addresses, therapists, and who a document is from."""

import strawberry

from graph.node import Node, identity
from graph.scalars import CountryCode
from resolvers import documents, viewers
from resolvers.addresses import AddressRow, has_address
from resolvers.planner.sources import One, Part, column, field


@strawberry.type(description="A postal address.")
class Address:
    line1: str = column("address_line1", "Street and number.")
    line2: str | None = column("address_line2", "What else belongs above the city.")
    city: str = column("address_city", "The city.")
    region: str | None = column("address_region", "State, province or the like.")
    postal_code: str = column("address_postal_code", "ZIP or postal code.")
    country: CountryCode = column("address_country", "The country.")


address = field(
    Part(AddressRow, when=has_address),
    description="The address; null where none is known.",
)


@strawberry.type(description="A therapist of the practice.")
class Clinician(Node):
    id: strawberry.ID = identity("cln")
    name: str = column("name", "The therapist's name.")
    credentials: str | None = column("credentials", "As on a door: LCSW, PhD.")


@strawberry.type(description="Who a document is from, as printed: frozen when it was issued.")
class Provider:
    name: str = column("name", "The practice or the therapist.")
    credentials: str | None = column("credentials", "As on a door: LCSW, PhD.")
    npi: str | None = column("npi", "National Provider Identifier, ten digits.")
    licence_number: str | None = column("licence_number", "The licence to practise.")
    tax_id_last4: str | None = column(
        "tax_id_last4", "The tax id's last four digits; all of it stands on the document only."
    )
    address: Address | None = address
    phone: str | None = column("phone", "As printed.")


provider = field(One(documents.letterhead), description="Who it is from, as printed.")
clinician = field(One(viewers.clinician_of), description="The therapist; null where none is named.")

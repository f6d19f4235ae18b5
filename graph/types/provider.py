"""Addresses, therapists, and the issuers of documents."""

from typing import Any, Unpack

import strawberry

import models
from graph.fields import column, field
from graph.node import Node, identity
from graph.scalars import CountryCode
from planner.sources import Embedded, ToOne, Value
from resolvers import statements, viewer_fields
from resolvers.addresses import AddressRow, is_address_present
from resolvers.field_facts import NO_SCOPE, Cost, Scopes, StatedFacts, needs


@needs(NO_SCOPE)
@strawberry.type(description="A postal address.")
class Address:
    line1: str = field(
        Value[AddressRow](lambda address: address.line1),
        description="The street and number.",
        scopes=NO_SCOPE,
    )
    line2: str | None = field(
        Value[AddressRow](lambda address: address.line2),
        description="The second address line, printed above the city.",
        scopes=NO_SCOPE,
    )
    city: str = field(
        Value[AddressRow](lambda address: address.city), description="The city.", scopes=NO_SCOPE
    )
    region: str | None = field(
        Value[AddressRow](lambda address: address.region),
        description="The state, province or region.",
        scopes=NO_SCOPE,
    )
    postal_code: str = field(
        Value[AddressRow](lambda address: address.postal_code),
        description="The ZIP or postal code.",
        scopes=NO_SCOPE,
    )
    country: CountryCode = field(
        Value[AddressRow](lambda address: address.country), description="The country."
    )


def address_field(**facts: Unpack[StatedFacts]) -> Any:
    return field(
        Embedded(AddressRow, when=is_address_present),
        description="The address; null if none is known.",
        **facts,
    )


address = address_field()


@needs(NO_SCOPE)
@strawberry.type(description="A therapist of the practice.")
class Clinician(Node):
    id: strawberry.ID = identity("cln")
    name: str = column(models.Clinician.name, "The therapist's name.", scopes=NO_SCOPE)
    credentials: str | None = column(
        models.Clinician.credentials,
        "Professional credentials, for example LCSW or PhD.",
        scopes=NO_SCOPE,
    )


@needs(NO_SCOPE)
@strawberry.type(
    description="The issuer of a document, as printed: frozen when the document was issued."
)
class Provider:
    name: str = column(
        models.Letterhead.name, "The name of the practice or the therapist.", scopes=NO_SCOPE
    )
    credentials: str | None = column(
        models.Letterhead.credentials,
        "Professional credentials, for example LCSW or PhD.",
        scopes=NO_SCOPE,
    )
    npi: str | None = column(
        models.Letterhead.npi, "The National Provider Identifier, ten digits.", scopes=NO_SCOPE
    )
    licence_number: str | None = column(
        models.Letterhead.licence_number,
        "The number of the licence to practise.",
        scopes=NO_SCOPE,
    )
    tax_id_last4: str | None = column(
        models.Letterhead.tax_id_last4,
        "The last four digits of the tax id. The full tax id is on the document only.",
        scopes=NO_SCOPE,
    )
    address: Address | None = address
    phone: str | None = column(
        models.Letterhead.phone, "The phone number, as printed.", scopes=NO_SCOPE
    )


def provider_field(scopes: Scopes | None = None) -> Any:
    source, description = ToOne(statements.issuer), "The issuer, as printed."
    return field(source, description=description, cost=Cost(nesting=0), scopes=scopes)


provider = provider_field()
clinician = field(
    ToOne(viewer_fields.clinician_of),
    description="The therapist; null if none is assigned.",
    cost=Cost(nesting=0),
)

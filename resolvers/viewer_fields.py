"""The viewer, the practice, and its therapists."""

from sqlalchemy import Text

from models import Client, Clinician, Contact, Invoice, Practice, Session, Token, ViewerKind
from models.literals import constant
from models.row import Instant
from planner.deferred import bind
from planner.sources import Rows
from planner.tables import Condition, RowOf, TableAlias
from resolvers.request_context import RequestContext, from_request
from resolvers.visibility import Visibility

WHO: dict[ViewerKind, type[Client | Contact | Token]] = {
    ViewerKind.CLIENT: Client,
    ViewerKind.CONTACT: Contact,
    ViewerKind.DASHBOARD: Token,
    ViewerKind.INTEGRATION: Token,
}
# Rows that may refer to a therapist.
OfClinician = Client | Session | Invoice


class ViewerRow:
    """The viewer, read from the row of the client, the contact or the program's token."""

    def __init__(self, table: TableAlias[Client | Contact | Token], visible: Visibility) -> None:
        self.name, self.email = table.c.name, table.c.email
        self.kind = constant(visible.kind)
        self.scopes = bind(from_request(scopes), Text())
        self.expires_at = bind(from_request(lambda request: request.viewer.expires_at), Instant())


def viewer(_: object, visible: Visibility) -> Rows:
    table = visible(WHO[visible.kind])
    own = visible.token_id if visible.kind.is_program else visible.subject_id
    return Rows(table, [table.c.id == own], row=ViewerRow(table, visible))


def scopes(request: RequestContext) -> str:
    """Return the scopes as a JSON list of names, none of which needs escaping."""
    return "[" + ",".join(f'"{scope}"' for scope in sorted(request.viewer.scopes)) + "]"


def practice(_: object, visible: Visibility) -> Rows:
    return practices(visible)


def practices(visible: Visibility, *where: Condition[Practice]) -> Rows:
    table = visible(Practice)
    return Rows(table, [condition(table) for condition in where])


def clinician_rows(visible: Visibility, *where: Condition[Clinician]) -> Rows:
    table = visible(Clinician)
    return Rows(table, [condition(table) for condition in where], (table.c.id,))


def clinicians(_: object, visible: Visibility) -> Rows:
    return clinician_rows(visible)


def clinician_of(row: RowOf[OfClinician], visible: Visibility) -> Rows:
    return clinician_rows(visible, lambda table: table.c.id == row.c.clinician_id)

"""The root type of read operations, and the viewer."""

import datetime as dt
from typing import Annotated
from uuid import UUID

import strawberry

import models
from graph.connections import Connection, connection
from graph.fields import field
from graph.mutations.inputs import ClientOrder
from graph.node import Node
from graph.types.client import Client
from graph.types.practice import WHOLE_PRACTICE, ChangedSince, Practice, practice
from graph.types.sign_in import Identity, SignIn
from models import Scope, ViewerKind
from planner.sources import NodeById, NodesByIds, ToMany, ToOne, Value
from planner.sql_text import rfc3339
from resolvers import clients, nodes, sign_ins, viewer_fields
from resolvers.field_facts import NO_SCOPE, PHI, ArgumentScopes, Cost, ReadAudit, Scan


@strawberry.type(
    description="The authenticated caller: the person or the dashboard that the token was issued"
    " to."
)
class Viewer:
    kind: ViewerKind = field(
        Value[viewer_fields.ViewerRow](lambda viewer: viewer.kind),
        description="The kind of viewer.",
        scopes=NO_SCOPE,
    )
    name: str = field(
        Value[viewer_fields.ViewerRow](lambda viewer: viewer.name),
        description="The name of the person or dashboard.",
        scopes=NO_SCOPE,
    )
    email: str | None = field(
        Value[viewer_fields.ViewerRow](lambda viewer: viewer.email),
        description="The person's e-mail address; null if none is known.",
        scopes=NO_SCOPE,
    )
    scopes: list[Scope] = field(
        Value[viewer_fields.ViewerRow](lambda viewer: viewer.scopes),
        description="The scopes of the token.",
        scopes=NO_SCOPE,
    )
    expires_at: dt.datetime | None = field(
        Value[viewer_fields.ViewerRow](lambda viewer: rfc3339(viewer.expires_at)),
        description="When the token expires.",
        scopes=NO_SCOPE,
    )
    clients: list[Client] = field(
        ToMany(clients.viewers_clients),
        audit=ReadAudit.OWN_CLIENTS,
        description="The clients that this viewer has access to; a guardian may have several."
        " Empty for a dashboard.",
    )
    identities: list[Identity] = field(
        ToMany(sign_ins.identities),
        description="All clients and contacts of this practice with the e-mail address that was"
        " used to sign in, including the viewer: clients first, in the order of entry. Empty if"
        " the token does not come from a sign-in.",
        scopes=NO_SCOPE,
    )
    sign_ins: list[SignIn] = field(
        ToMany(sign_ins.sign_ins),
        description="The active sign-ins of this person in this practice, and those of other"
        " people with the same e-mail address; newest first. Empty for a dashboard.",
        scopes=NO_SCOPE,
    )


@strawberry.type(
    description="Read operations. Each operation runs as a single SQL statement, so all of its"
    " data is one consistent snapshot."
)
class Query:
    viewer: Viewer = field(
        ToOne(viewer_fields.viewer), description="The authenticated caller.", scopes=NO_SCOPE
    )
    practice: Practice = practice

    client: Client | None = field(
        ToOne(clients.client),
        audit=ReadAudit.BY_ID_OR_SOLE_CLIENT,
        sample_arguments=f'(id: "cli_{UUID(int=0)}")',
        arguments={
            "id": Annotated[
                strawberry.ID | None, strawberry.argument(description="The client's id: `cli_…`.")
            ]
        },
        description="A client by id; null if the viewer has no access to it. A viewer with exactly"
        " one client may omit the id; for any other viewer, an omitted id is an error"
        " (CLIENT_REQUIRED).",
    )

    clients: Connection[Client] = connection(
        clients.clients,
        audit=ReadAudit.PRACTICE_WIDE,
        most=WHOLE_PRACTICE,
        filters={
            "search": Annotated[
                str | None,
                strawberry.argument(
                    description="Only clients with this text in their name, at the beginning of a"
                    " word. Case, accents and apostrophes are ignored; `soren` finds Søren. Blanks"
                    " alone match every client; other text without a letter or a digit matches"
                    " none. Needs `phi:read`."
                ),
            ],
            "with_balance": Annotated[
                bool | None,
                strawberry.argument(
                    description="Only clients with a balance other than zero (`true`), or with a"
                    " balance of zero (`false`). For a dashboard, this filter costs 0.2 for each"
                    " client of the practice."
                ),
            ],
            "is_archived": Annotated[
                bool | None,
                strawberry.argument(
                    description="Only clients who have left the practice (`true`), or only current"
                    " clients (`false`)."
                ),
            ],
            "order_by": Annotated[
                ClientOrder | None,
                strawberry.argument(
                    description="The sort order; sorting by NAME needs `phi:read`."
                ),
            ],
            "changed_since": ChangedSince,
        },
        argument_scopes={
            "search:": ArgumentScopes(PHI, clients.is_searched),
            "orderBy: NAME": ArgumentScopes(PHI, clients.is_sorted_by_name),
        },
        description="All clients that the viewer has access to, sorted by name by default; at most"
        " 500 per page.",
        cost=Cost(scan=Scan(models.Client, 0.2, {"withBalance"})),
    )

    node: Node | None = field(
        NodeById(nodes.pick),
        audit=ReadAudit.BY_ID,
        arguments={
            "id": Annotated[
                strawberry.ID, strawberry.argument(description="The id of an object of any type.")
            ]
        },
        description="Any object by id; null if the viewer has no access to it. An id of an unknown"
        " kind is an error (BAD_ID). Needs the scopes that the type of the object needs.",
        scopes=NO_SCOPE,
    )

    nodes: list[Node | None] = field(
        NodesByIds(nodes.requested_ids, nodes.KINDS),
        audit=ReadAudit.BY_ID,
        arguments={
            "ids": Annotated[
                list[strawberry.ID], strawberry.argument(description="Ids of objects of any types.")
            ]
        },
        description="Objects by their ids, in the order of the ids; at most 50. Null for each"
        " object that the viewer has no access to.",
        scopes=NO_SCOPE,
        cost=Cost(selects=36),
    )

"""Where a query begins: who asks, a client, the practice."""

import datetime as dt
from typing import Annotated

import strawberry

from graph.client import Client
from graph.connections import After, Before, Connection, First, Last
from graph.inputs import ClientOrder
from graph.node import Node
from graph.practice import WHOLE_PRACTICE, Practice, practice
from graph.sign_in import Identity, SignIn
from models import Scope, ViewerKind
from resolvers import clients, nodes, sign_ins, viewers
from resolvers.planner.sources import Chosen, Many, One, Paged, Typed, Value, field, planned
from resolvers.planner.texts import instant


@strawberry.type(description="Who asks: the bearer of the token.")
class Viewer:
    kind: ViewerKind = field(Value(lambda viewer: viewer.kind), description="What kind of viewer.")
    name: str = field(
        Value(lambda viewer: viewer.name), description="The person's name, or the dashboard's."
    )
    email: str | None = field(
        Value(lambda viewer: viewer.email), description="The person's e-mail address, if known."
    )
    scopes: list[Scope] = field(
        Value(lambda viewer: viewer.scopes), description="What the token may read."
    )
    expires_at: dt.datetime | None = field(
        Value(lambda viewer: instant(viewer.expires_at)),
        description="When the token stops working.",
    )
    clients: list[Client] = field(
        Many(clients.viewers_clients),
        description="The clients whose billing this viewer looks after; a guardian may have"
        " several. Empty for a dashboard.",
    )
    identities: list[Identity] = field(
        Many(sign_ins.identities),
        description="Everybody of this practice who has the e-mail address that signed in, the"
        " viewer included: clients first, in the order of entry. Empty with a token that is no"
        " sign-in.",
    )
    sign_ins: list[SignIn] = field(
        Many(sign_ins.of_viewer),
        description="Where this person is signed in, in this practice, and where somebody is with"
        " the same e-mail address; the newest first. Empty for a dashboard.",
    )


@strawberry.type(description="Reading. Each operation is one statement to the database.")
class Query:
    viewer: Viewer = field(One(viewers.viewer), description="Who asks.")
    practice: Practice = practice

    @planned(
        One(clients.client),
        description="A client in sight; null where it isn't. One who sees a single client may leave"
        " the id out; one who sees several is refused without it (CLIENT_REQUIRED).",
    )
    def client(
        self,
        id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Which client: `cli_…`.")
        ] = None,
    ) -> Client | None:
        raise AssertionError("its source answers")

    @planned(
        Paged(clients.listed, most=WHOLE_PRACTICE),
        description="The clients in sight, by name unless said; 500 at most at a time.",
    )
    def clients(
        self,
        search: Annotated[
            str | None,
            strawberry.argument(
                description="Only those whose name, from one of its words on, begins so. Case,"
                " accents and apostrophes don't count, and `soren` finds Søren. Blanks alone find"
                " everybody; other text without a letter or a digit finds nobody. Needs `phi:read`."
            ),
        ] = None,
        with_balance: Annotated[
            bool | None,
            strawberry.argument(
                description="Only those whose balance isn't zero, or is. Asked by a dashboard,"
                " it costs 0.2 for each client of the practice."
            ),
        ] = None,
        order_by: Annotated[
            ClientOrder | None,
            strawberry.argument(description="Their order; by NAME needs `phi:read`."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Client]:
        raise AssertionError("its source answers")

    @planned(
        Typed(nodes.pick),
        description="Anything with an id; null where it is out of sight. An id of no kind is an"
        " error (BAD_ID). An id needs the scopes that its kind of thing does.",
    )
    def node(
        self, id: Annotated[strawberry.ID, strawberry.argument(description="Any id.")]
    ) -> Node | None:
        raise AssertionError("its source answers")

    @planned(
        Chosen(nodes.asked, nodes.KINDS),
        description="Things with ids, in the order asked, 50 at most; null for each that is out of"
        " sight.",
    )
    def nodes(
        self,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Ids of any kinds.")],
    ) -> list[Node | None]:
        raise AssertionError("its source answers")

"""Customers: made for a client, and deleted in the dashboard."""

from sandbox import methods, objects
from sandbox.errors import no_such_object
from sandbox.store import Object, Store


def create_customer(store: Store, account: str, params: Object) -> Object:
    made = store.new(
        account, "customer", "cus", **objects.customer(metadata=params.get("metadata", {}))
    )
    store.tell(account, "customer.created", made)
    return made


def get_customer(store: Store, account: str, id_: str, _: Object) -> Object:
    """Return a customer. A deleted one is marked as such."""
    return store.find(account, "customer", id_)


def check_customer(store: Store, account: str, id_: str) -> None:
    """Refuse a customer that doesn't exist or is deleted, in the parameter `customer`."""
    if store.find(account, "customer", id_, "customer").get("deleted"):
        raise no_such_object("customer", id_, "customer")


def delete(store: Store, account: str, id_: str, _: Object | None = None) -> Object:
    """Delete a customer. Its cards become unattached, and no event reports them."""
    found = store.find(account, "customer", id_)
    if found.get("deleted"):
        raise no_such_object("customer", id_)
    for method in store.all("payment_method", account):
        if method["customer"] == id_:
            methods.remove_from_customer(store, account, method)
    gone = {"id": id_, "object": "customer", "deleted": True}
    store.save(account, gone)
    store.tell(account, "customer.deleted", found)
    return gone

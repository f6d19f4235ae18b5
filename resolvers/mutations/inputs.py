"""The inputs of mutations, as resolvers read them. The schema's input types match them."""

from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Present(Protocol[T_co]):
    """A value in an input field that may be absent."""

    @property
    def value(self) -> T_co: ...


# -- paying ----------------------------------------------------------------------------------------


class PaymentChoice(Protocol):
    """A payment, by its id."""

    @property
    def payment_id(self) -> str: ...


class GivenAmount(Protocol):
    """An amount in major units."""

    @property
    def amount(self) -> str: ...

    @property
    def currency(self) -> str: ...


class CardToCharge(Protocol):
    """A card that is not on file, by its confirmation token."""

    @property
    def confirmation_token(self) -> str: ...

    @property
    def save_card(self) -> bool: ...

    @property
    def make_default(self) -> bool: ...


class SourceChoice(Protocol):
    """The source of a payment: one of these is present."""

    @property
    def payment_method_id(self) -> Present[str | None] | None: ...

    @property
    def new_card(self) -> Present[CardToCharge | None] | None: ...

    @property
    def credit(self) -> Present[bool | None] | None: ...


class PayOrder(Protocol):
    """A payment to be made, of one invoice or of the whole balance."""

    @property
    def client_id(self) -> str | None: ...

    @property
    def invoice_id(self) -> str | None: ...

    @property
    def expected_amount(self) -> GivenAmount: ...

    @property
    def source(self) -> SourceChoice: ...

    @property
    def idempotency_key(self) -> str: ...


# -- cards -----------------------------------------------------------------------------------------


class ClientChoice(Protocol):
    """A client by its id, or the viewer's only client."""

    @property
    def client_id(self) -> str | None: ...


class SetupChoice(ClientChoice, Protocol):
    """A SetupIntent that a page has confirmed."""

    @property
    def setup_intent_id(self) -> str: ...

    @property
    def make_default(self) -> bool: ...


class CardChoice(Protocol):
    """A card on file, by its id."""

    @property
    def payment_method_id(self) -> str: ...


class CardToRemove(CardChoice, Protocol):
    """A card on file, and the next Default Card."""

    @property
    def replacement_id(self) -> str | None: ...


# -- signing in ------------------------------------------------------------------------------------


class AddressChoice(Protocol):
    """An e-mail address."""

    @property
    def email(self) -> str: ...


class LinkProof(Protocol):
    """The secret of a link, and the nonce of its request."""

    @property
    def secret(self) -> str: ...

    @property
    def nonce(self) -> str: ...


class CodeProof(Protocol):
    """A code, and the nonce of its request."""

    @property
    def code(self) -> str: ...

    @property
    def nonce(self) -> str: ...


class IdChoice(Protocol):
    """An object of the viewer, by its id."""

    @property
    def id(self) -> str: ...

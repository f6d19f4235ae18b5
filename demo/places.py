"""Places of invented practices: each has a time zone, a currency, prices and addresses."""

from dataclasses import dataclass, replace
from functools import cached_property

from billing.entry.people import PostalAddress
from demo.entries import Chance
from demo.office import Service
from demo.practices import DOLLARS


@dataclass(frozen=True)
class Town:
    """A town and its surroundings; `worth` is the value of a US cent in the currency's
    minor units.
    """

    time_zone: str
    currency: str
    locale: str
    worth: float
    country: str
    region: str | None
    phone: str
    towns: tuple[tuple[str, str], ...]
    streets: tuple[str, ...]
    takes_cards: bool = True

    @cached_property
    def services(self) -> dict[str, Service]:
        """Return the usual fees, at local prices."""
        return {code: replace(s, fee_minor=self.price(s.fee_minor)) for code, s in DOLLARS.items()}

    def price(self, cents: int) -> int:
        """Return a rounded local price: 175.00 dollars are 26,500 yen, or 53.500 dinars."""
        amount = round(cents * self.worth)
        step = max(1, 5 * int(10 ** (len(str(amount)) - 3)))
        return round(amount / step) * step

    def address(self, chance: Chance) -> PostalAddress:
        town, postal_code = chance.random.choice(self.towns)
        flat = f"Flat {chance.random.randint(1, 30)}" if chance.happens(0.3) else None
        number, street = chance.random.randint(2, 340), chance.random.choice(self.streets)
        return PostalAddress(
            f"{number} {street}", town, postal_code, self.country, flat, self.region
        )


STREETS = ("Alder Court", "Birch Street", "Cobblers Row", "Fore Hill", "Mill Pond Road", "Tern Way")
STRASSEN = ("Ahornweg", "Birkenstraße", "Gerbergasse", "Lindenallee", "Mühlendamm")
# Currencies with two, no and three decimals, and time zones from UTC-8 to UTC+10.
PLACES = (
    Town(
        "America/New_York", "USD", "en-US", 1, "US", "ME", "+1 207 555 01",
        (("Portland", "04101"), ("Portland", "04103"), ("South Portland", "04106")), STREETS,
    ),
    Town(
        "Asia/Tokyo", "JPY", "en-JP", 1.5, "JP", "Tokyo", "+81 3 0000 01",
        (("Meguro-ku", "153-0061"), ("Setagaya-ku", "154-0004"), ("Bunkyo-ku", "112-0002")),
        ("Kami", "Naka", "Shimo", "Higashi", "Nishi"), takes_cards=False,
    ),
    Town(
        "Asia/Kuwait", "KWD", "en-KW", 3.1, "KW", None, "+965 0000 01",
        (("Salmiya", "22001"), ("Hawally", "32001"), ("Kuwait City", "13001")),
        ("Palm Street", "Harbour Street", "Pearl Street"),
    ),
    Town(
        "Europe/London", "GBP", "en-GB", 0.75, "GB", None, "+44 20 7946 01",
        (("London", "N1 0AA"), ("London", "SE1 0AA"), ("Bristol", "BS1 0AA")), STREETS,
    ),
    Town(
        "Europe/Berlin", "EUR", "de-DE", 0.9, "DE", None, "+49 30 23125 01",
        (("Berlin", "10115"), ("Berlin", "12043"), ("Potsdam", "14467")), STRASSEN,
    ),
    Town(
        "America/Los_Angeles", "USD", "en-US", 1.2, "US", "OR", "+1 503 555 01",
        (("Portland", "97202"), ("Portland", "97214"), ("Salem", "97301")), STREETS,
    ),
    Town(
        "America/Toronto", "CAD", "en-CA", 1.3, "CA", "ON", "+1 416 555 01",
        (("Toronto", "M4C 1A1"), ("Hamilton", "L8P 1A1")), STREETS,
    ),
    Town(
        "Australia/Sydney", "AUD", "en-AU", 1.5, "AU", "NSW", "+61 2 5550 01",
        (("Sydney", "2000"), ("Newcastle", "2300")), STREETS,
    ),
    Town(
        "Europe/Zurich", "CHF", "de-CH", 1.1, "CH", None, "+41 44 000 01",
        (("Zürich", "8001"), ("Winterthur", "8400")), STRASSEN,
    ),
    Town(
        "Asia/Kolkata", "INR", "en-IN", 30, "IN", "MH", "+91 22 0000 01",
        (("Mumbai", "400001"), ("Pune", "411001")), STREETS, takes_cards=False,
    ),
)  # fmt: skip

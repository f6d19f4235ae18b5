"""Names and addresses of invented people."""

import unicodedata
from collections.abc import Iterator

from billing.entry.people import PostalAddress
from billing.luhn import with_check_digit
from demo.entries import Chance

GIVEN = (
    "Abena Agnieszka Aisha Alejandro Anaïs Anders Beatriz Benoît Chiara Chloé Conor Daniela Dmitri"
    " Ebony Eilidh Emeka Fatima François Giulia Håkon Hana Inés Ioana Ismael Jürgen Kaito Kofi"
    " Latoya Léa Liam Lucía Magda Marguerite Mehmet Niamh Nikhil Noor Olena Oscar Penelope Quyên"
    " Rafael Rosalind Saoirse Sebastián Seung-hee Tadeusz Thandiwe Tomás Ursula Viktória Wiremu"
    " Xiomara Yael Yusuf Zainab"
).split()
FAMILY = (
    "Abernathy Achterberg Adeyemi Ågren Bianchi Bőszörményi Castellanos Chaudhry Cortázar"
    " D'Angelo Dvořák Eriksen Ferreira Gallagher Gonçalves Haddad Hernández Ivanova Jankowski"
    " Kaplan Kowalczyk Lindqvist MacLeod Mbeki Moreau Nakamura N'Diaye Novák O'Brien O'Sullivan"
    " Okafor Öztürk Papadopoulos Peña Quigley Ramaswamy Rosenthal Saint-Pierre Santos Schäfer"
    " Şahin Takahashi Thornton Ustinov Vasquez Von-Hagen Washington Wiśniewski Yamamoto Zhao"
).split()
STREETS = ("Alder Court", "Birch Street", "Cobblers Row", "Fore Hill", "Mill Pond Road", "Tern Way")
TOWNS = (("Portland", "04101"), ("Portland", "04103"), ("South Portland", "04106"))
WARDS = (("Meguro-ku", "153-0061"), ("Setagaya-ku", "154-0004"), ("Bunkyo-ku", "112-0002"))
# The issuer's number that the check digit of a National Provider Identifier counts in: ISO's 80 for
# health, and 840 for the United States.
NPI_PREFIX = "80840"


def strangers(chance: Chance) -> Iterator[str]:
    """Yield unique names. Names get another given name once half of the shorter ones are taken."""
    taken: set[str] = set()
    given = 1
    while True:
        if len(taken) > len(GIVEN) ** given * len(FAMILY) // 2:
            given += 1
        words = [chance.random.choice(GIVEN) for _ in range(given)]
        name = " ".join([*words, chance.random.choice(FAMILY)])
        if name not in taken:
            taken.add(name)
            yield name


def email(name: str) -> str:
    """Return an address from the name, without accents and characters that aren't Latin."""
    letters = unicodedata.normalize("NFKD", name.lower())
    plain = "".join(letter for letter in letters if letter.isascii() and letter not in "'-")
    return ".".join(plain.split()) + "@example.com"


def american_address(chance: Chance) -> PostalAddress:
    town, postal_code = chance.random.choice(TOWNS)
    flat = f"Apt {chance.random.randint(1, 12)}" if chance.happens(0.3) else None
    line = f"{chance.random.randint(2, 340)} {chance.random.choice(STREETS)}"
    return PostalAddress(line, town, postal_code, "US", flat, "ME")


def japanese_address(chance: Chance) -> PostalAddress:
    ward, postal_code = chance.random.choice(WARDS)
    numbers = "-".join(str(chance.random.randint(1, 20)) for _ in range(3))
    return PostalAddress(numbers, ward, postal_code, "JP", region="Tokyo")


def npi(chance: Chance) -> str:
    """Return a National Provider Identifier. Its check digit is that of 80840 and the number."""
    return with_check_digit(f"{NPI_PREFIX}1{chance.digits(8)}").removeprefix(NPI_PREFIX)

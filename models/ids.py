"""Ids of rows: UUIDv7, generated here, so that a row has its id before it is inserted."""

import datetime as dt
import re
import secrets
import time
from collections.abc import Callable

UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new_id() -> str:
    return uuid7(time.time_ns() // 1_000_000, secrets.randbits(74))


def uuid7(milliseconds: int, random_bits: int) -> str:
    """Return a UUID by RFC 9562: 48 bits of Unix time, the version, 12 random bits, the variant and
    62 random bits.
    """
    high, low = random_bits >> 62 & 0xFFF, random_bits & (1 << 62) - 1
    value = milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class IdSequence:
    """Ids of one moment that sort in the order in which they are made.

    The 12 bits after the time count up. `draw` returns a number of random bits.
    """

    def __init__(self, moment: dt.datetime, draw: Callable[[int], int] = secrets.randbits) -> None:
        self.milliseconds, self.draw = round(moment.timestamp() * 1000), draw
        self.made = 0

    def __call__(self) -> str:
        later, count = divmod(self.made, 1 << 12)
        self.made += 1
        return uuid7(self.milliseconds + later, count << 62 | self.draw(62))

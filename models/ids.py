"""Ids of rows: UUIDv7, generated here, so that a row has its id before it is inserted."""

import re
import secrets
import time

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

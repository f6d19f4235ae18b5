"""The check digit of ISO/IEC 7812, Luhn's, which card numbers and provider identifiers have."""


def checksum(digits: str) -> int:
    """Return the checksum, 0 for a valid number: every second digit from the right is doubled."""
    single = sum(int(digit) for digit in digits[-1::-2])
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (single + doubled) % 10


def with_check_digit(digits: str) -> str:
    """Return the number that these digits begin, with its check digit."""
    return f"{digits}{-checksum(digits + '0') % 10}"

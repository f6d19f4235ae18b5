"""The mail with the links: plain, short, and without a word of what the practice is for."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr

from identity.linking import Link

SEVERAL = "Your sign-in links"
TEXT = """\
{links}

A link works once, for ten minutes at the most, and only in the browser in which you asked for it.

Nothing needs to be done if it wasn't you who asked: nobody else can use what is in this mail.
"""


def letter(sender: str, links: Sequence[Link], now: dt.datetime) -> EmailMessage:
    """One mail with all links, to the address that the practice knows: it is that person's,
    whatever was typed."""
    message = EmailMessage(policy.SMTP)
    message["From"] = sender
    message["To"] = links[0].email
    message["Subject"] = subject(links)
    message["Date"] = format_datetime(now)
    # Without a domain it would be this machine's name.
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(TEXT.format(links="\n\n".join(told(links))))
    return message


def is_sender(text: str) -> bool:
    """Whether mail can be from there: one address, with a name or without."""
    try:
        headers = EmailMessage(policy.SMTP)
        headers["From"] = text
        (address,) = headers["From"].addresses
    except (ValueError, IndexError):
        return False
    return bool(address.username and address.domain) and not headers["From"].defects


def subject(links: Sequence[Link]) -> str:
    practices = {one_line(link.practice) for link in links}
    return f"Sign in to {practices.pop()}" if len(practices) == 1 else SEVERAL


def told(links: Sequence[Link]) -> list[str]:
    """Each link under its practice's name; where a practice has several, with the initials of whom
    it is for, since whose client somebody is should not stand in a mail."""
    of_practice = Counter(link.practice for link in links)
    return [
        f"{one_line(link.practice)}"
        f"{f', for {initials(link.name)}' if of_practice[link.practice] > 1 else ''}:\n{link.url}"
        for link in links
    ]


def initials(name: str) -> str:
    return " ".join(f"{word[0].upper()}." for word in name.split())


def one_line(name: str) -> str:
    return " ".join(name.split())

"""The sign-in mail: plain, short, and without any hint of the practice's profession."""

import datetime as dt
from collections.abc import Sequence
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr

from identity.sign_in.links import Letter, Link

SEVERAL = "Your sign-in links"
ONE = """\
{practice}:
{url}
or type this code into the page that you asked from: {code}"""
TEXT = """\
{links}

The link and the code work once, for {minutes} minutes. The link works only in the browser that \
you asked from.

If you didn't ask for this mail, you can ignore it: nobody else can use it to sign in.
"""


def mail(sender: str, letter: Letter, now: dt.datetime, lasts: dt.timedelta) -> EmailMessage:
    """Write one mail with all links, to the address that the practice has stored."""
    message = EmailMessage(policy.SMTP)
    message["From"] = sender
    # The header takes exactly one address: text with two addresses raises an error.
    message["To"] = Address(addr_spec=letter.to)
    message["Subject"] = subject(letter.links)
    message["Date"] = format_datetime(now)
    # Without a domain it would contain this machine's name.
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    minutes = lasts // dt.timedelta(minutes=1)
    links = "\n\n".join(link_text(link) for link in letter.links)
    message.set_content(TEXT.format(links=links, minutes=minutes))
    return message


def subject(links: Sequence[Link]) -> str:
    practices = {one_line(link.practice) for link in links}
    return f"Sign in to {practices.pop()}" if len(practices) == 1 else SEVERAL


def link_text(link: Link) -> str:
    """Write a link and its code under the practice's name."""
    code = f"{link.code[:3]} {link.code[3:]}"
    return ONE.format(practice=one_line(link.practice), url=link.url, code=code)


def one_line(name: str) -> str:
    return " ".join(name.split())

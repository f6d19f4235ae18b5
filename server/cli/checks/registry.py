"""The list of all checks, in their order, and those that a server makes at its start."""

from server.cli.checks.check import Check
from server.cli.checks.clocks import check_clock
from server.cli.checks.database import (
    check_connection,
    check_revision,
    check_role,
    check_triggers,
)
from server.cli.checks.documents import check_fonts
from server.cli.checks.mail import check_mail_server, check_mail_settings
from server.cli.checks.payments import (
    check_accounts,
    check_destination,
    check_key,
    check_webhooks,
)
from server.cli.checks.practices import check_practices, check_tax_ids
from server.cli.checks.recovery import check_recovery
from server.cli.checks.replica import check_replica
from server.cli.checks.trusted_documents import check_trusted_documents
from server.cli.checks.webhooks import check_endpoints

READY = frozenset({"database", "revision"})
KEY = READY | {"payments", "stripe-key"}
AT_START = (
    Check("database", check_connection),
    Check("role", check_role, frozenset({"database"})),
    Check("revision", check_revision, frozenset({"database", "role"})),
    Check("triggers", check_triggers, READY),
    Check("replica", check_replica, READY),
    Check("payments", check_destination, READY),
    Check("stripe-key", check_key, READY | {"payments"}),
    Check("recovery", check_recovery, READY | {"payments"}),
    Check("mail", check_mail_settings),
    Check("practices", check_practices, READY),
    Check("trusted-documents", check_trusted_documents),
)
EVERY_CHECK = (
    *AT_START,
    Check("webhooks", check_webhooks, KEY),
    Check("accounts", check_accounts, KEY),
    Check("mail-server", check_mail_server),
    Check("fonts", check_fonts, READY),
    Check("tax-ids", check_tax_ids, READY),
    Check("endpoints", check_endpoints, READY),
    Check("clock", check_clock, frozenset({"database"})),
)

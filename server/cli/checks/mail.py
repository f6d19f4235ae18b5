"""Checks of the mail server. They send no mail."""

import aiosmtplib

from identity.sign_in.smtp import try_login
from server.cli.checks.check import CheckContext, CheckResult

NO_MAIL = "No SMTP_URL is set, so no mail is sent and signing in by e-mail is off."


async def check_mail_settings(context: CheckContext) -> CheckResult:
    if context.settings.post is None:
        return CheckResult.warning(NO_MAIL)
    return CheckResult.ok(f"Mail is sent as {context.settings.mail_from}.")


async def check_mail_server(context: CheckContext) -> CheckResult:
    if context.settings.smtp_url is None:
        return CheckResult.skipped("No mail server is set.")
    try:
        connection = await try_login(context.settings.smtp_url.get_secret_value())
    except aiosmtplib.SMTPAuthenticationError as error:
        return CheckResult.failed(
            f"The mail server refuses the user or the password of SMTP_URL (code {error.code})."
        )
    except (aiosmtplib.SMTPException, OSError) as error:
        # The text of an answer may quote the message.
        return CheckResult.failed(
            f"The mail server of SMTP_URL can't be used: {type(error).__name__}."
        )
    by_tls = "by TLS" if connection.is_encrypted else "without TLS"
    login = "accepts the login" if connection.is_logged_in else "needs no login"
    return CheckResult.ok(f"{connection.host} answers {by_tls} and {login}. No mail was sent.")

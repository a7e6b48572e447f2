"""One message by SMTP: bounded in time, verified TLS, nothing of a text in a header."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime

from cronbell.alerts.messages import one_line
from cronbell.alerts.outbox import Result
from cronbell.alerts.secrets import resolve
from cronbell.clock import Clock
from cronbell.config.alerts import Channel
from cronbell.errors import SecretError
from cronbell.runlog.alert_tables import Delivery

# For each step of the conversation, and for all of it.
STEP_SECONDS, SECONDS = 10.0, 30.0


def post(channel: Channel, one: Delivery, clock: Clock, *, trusted: str | None = None) -> Result:
    """Send a message and say what became of it; never raises for what the server does.

    Args:
        channel: of mail.
        one: the message.
        clock: for its date.
        trusted: PEM certificates to trust beside the system's.
    """
    host, _, port = channel.smtp.rpartition(":")
    try:
        password = resolve(channel.password) if channel.password else ""
    except SecretError as error:
        return Result(sent=False, reason="no_secret", data={"error": str(error)})
    try:
        return _converse(
            channel, written(channel, one, clock), (host, int(port)), password, trusted
        )
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return Result(sent=False, reason="mail", data={"error": _words(error)})


def _converse(
    channel: Channel,
    mail: EmailMessage,
    server: tuple[str, int],
    password: str,
    trusted: str | None,
) -> Result:
    context = ssl.create_default_context()
    if trusted:
        context.load_verify_locations(cadata=trusted)
    with _opened(channel, server, context) as smtp:
        # A server that says a little every few seconds would never run into a step's limit.
        ending = threading.Timer(SECONDS, _end, [smtp.sock])
        ending.daemon = True
        ending.start()
        try:
            if channel.tls == "starttls":
                smtp.starttls(context=context)
            if channel.username:
                smtp.login(channel.username, password)
            refused = smtp.send_message(mail, from_addr=channel.sender, to_addrs=list(channel.to))
        finally:
            ending.cancel()
    if refused:
        named = ", ".join(sorted(refused))
        return Result(sent=True, reason="mail_partly", data={"error": named[:300]})
    return Result(sent=True)


def _opened(channel: Channel, server: tuple[str, int], context: ssl.SSLContext) -> smtplib.SMTP:
    host, port = server
    if channel.tls == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=STEP_SECONDS, context=context)
    return smtplib.SMTP(host, port, timeout=STEP_SECONDS)


def _end(connection: socket.socket | None) -> None:
    if connection is not None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            connection.close()


def written(channel: Channel, one: Delivery, clock: Clock) -> EmailMessage:
    """Return a message as mail: the same Message-ID at every attempt."""
    mail = EmailMessage(policy=POLICY)
    mail["Subject"] = one_line(one.subject)
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.to)
    mail["Date"] = format_datetime(clock.now())
    mail["Message-ID"] = f"<{one.key}@{channel.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(one.text)
    return mail


def _words(error: Exception) -> str:
    # A server's words about a login may repeat what it was told.
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the server refused the user name or the password ({error.smtp_code})"
    return one_line(f"{type(error).__name__}: {error}")[:300]

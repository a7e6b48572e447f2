"""One message by SMTP: bounded in time, verified TLS, nothing of a text in a header."""

from __future__ import annotations

import contextlib
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
from cronbell.dispatch import Found
from cronbell.dispatch.transport import MAX_TRIES
from cronbell.errors import SecretError
from cronbell.runlog.alert_tables import Delivery

# For each step of the conversation, and for all of it.
STEP_SECONDS, SECONDS = 10.0, 30.0
GREETING = 220
_TOO_LONG = "the conversation took longer than {:g} seconds"


def post(channel: Channel, one: Delivery, clock: Clock, server: Found) -> Result:
    """Send a message and say what became of it; never raises for what the server does.

    Args:
        channel: of mail.
        one: the message.
        clock: for its date.
        server: where to; no other address is connected to.
    """
    try:
        password = resolve(channel.password) if channel.password else ""
    except SecretError as error:
        return Result(sent=False, reason="no_secret", data={"error": str(error)})
    line = _Line(server, channel.tls)
    # A server that says a little every few seconds would never run into a step's limit.
    ending = threading.Timer(SECONDS, line.cut)
    ending.daemon = True
    ending.start()
    try:
        with line:
            return _converse(line, channel, written(channel, one, clock), password)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        words = _TOO_LONG.format(SECONDS) if line.was_cut else _words(error)
        return Result(sent=False, reason="mail", data={"error": words})
    finally:
        ending.cancel()
        line.hang_up()


def _converse(line: _Line, channel: Channel, mail: EmailMessage, password: str) -> Result:
    line.call()
    if channel.tls == "starttls":
        # Raises where the server offers none: nothing is said in clear, least of all a password.
        line.starttls(context=line.context)
    if channel.username:
        line.login(channel.username, password)
    refused = line.send_message(mail, from_addr=channel.sender, to_addrs=list(channel.to))
    if refused:
        named = ", ".join(sorted(refused))
        return Result(sent=True, reason="mail_partly", data={"error": named[:300]})
    return Result(sent=True)


class _Line(smtplib.SMTP):
    """A connection to an address that was judged; TLS asks for the name all the same.

    Args:
        server: where to.
        tls: ``tls`` from the first byte on; else in clear, until ``starttls`` is called.
    """

    def __init__(self, server: Found, tls: str) -> None:
        super().__init__(timeout=STEP_SECONDS)
        self._host = server.host  # what ``starttls`` checks the certificate for
        self.server = server
        # With what the system trusts; SSL_CERT_FILE and SSL_CERT_DIR say otherwise.
        self.context = ssl.create_default_context()
        self.at_once = tls == "tls"
        self.was_cut = False
        self._wire: socket.socket | None = None

    def call(self) -> None:
        """Connect, and wait for the server's greeting.

        Raises:
            OSError: nobody listens at any address, or the certificate is not the server's.
            SMTPException: it greets in no way that was heard of.
        """
        code, said = self.connect(self.server.host, self.server.port)
        if code != GREETING:
            raise smtplib.SMTPConnectError(code, said)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect to the first address that answers (the hook by which SMTP_SSL adds its TLS)."""
        *others, last = self.server.addresses[:MAX_TRIES]
        plain: socket.socket | None = None
        for address in others:
            with contextlib.suppress(OSError):
                plain = socket.create_connection((address, port), timeout)
                break
        plain = plain or socket.create_connection((last, port), timeout)
        # A handle of its own on the connection: what wraps a socket takes it away.
        self._wire = plain.dup()
        return self.context.wrap_socket(plain, server_hostname=host) if self.at_once else plain

    def cut(self) -> None:
        """End the connection, whatever is waited for on it; from another thread."""
        self.was_cut = True
        if self._wire is not None:
            with contextlib.suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """Give the connection back to the system."""
        self.close()
        if self._wire is not None:
            self._wire.close()


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

"""``cronbell password USER``: the way back in for whoever can reach the machine."""

from __future__ import annotations

import getpass
import secrets
import sys
from typing import Annotated

import typer

from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log
from cronbell.cli.who import command_line_actor, user_named
from cronbell.errors import CronbellError

GENERATED_BYTES = 12


class PasswordError(CronbellError):
    """A password that is not taken."""

    code = "password"


def password(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose password.")],
    generate: Annotated[
        bool, typer.Option("--generate", help="Make one and print it, instead of asking.")
    ] = False,
    revoke_tokens: Annotated[
        bool, typer.Option("--revoke-tokens", help="Revoke the user's API tokens as well.")
    ] = False,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Set a user's password, and sign the user out everywhere.

    It is asked for twice on a terminal, else read from the first line of standard input; never
    from the command line, where everybody on the machine could read it.
    """
    open_run_log(data)
    from cronbell.dashboard.passwords import set_password

    found = user_named(user)
    chosen = secrets.token_urlsafe(GENERATED_BYTES) if generate else _asked_for(user)
    try:
        revoked = set_password(
            found, chosen, actor=command_line_actor(), revoke_tokens=revoke_tokens
        )
    except ValueError as error:
        raise PasswordError(str(error), hint="choose another, or use --generate") from None
    facts = {"user": user, "signedOut": True, "tokensRevoked": revoked}
    if json:
        print_json(facts | ({"password": chosen} if generate else {}))
        return
    sys.stderr.write(f"{user} has a new password and is signed out everywhere\n")
    if revoke_tokens:
        sys.stderr.write(f"API tokens revoked: {revoked}\n")
    if generate:
        sys.stdout.write(f"{chosen}\n")


def _asked_for(user: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    chosen = getpass.getpass(f"new password of {user}: ")
    if getpass.getpass("the same again: ") != chosen:
        raise PasswordError("the two are not the same", hint="nothing was changed; try again")
    return chosen

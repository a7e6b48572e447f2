"""``cronbell tokens``: API tokens, for programs that call the API."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cronbell.cli.output import print_json, print_table
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log
from cronbell.cli.who import command_line_actor

if TYPE_CHECKING:
    from cronbell.dashboard.models import ApiToken

app = typer.Typer(help="API tokens: list them, make one, revoke one.")


@app.callback(invoke_without_command=True)
def tokens(context: typer.Context, json: JsonOption = False, data: DataOption = None) -> None:
    """List the API tokens; never the tokens themselves, of which only digests are kept."""
    if context.invoked_subcommand is not None:
        return
    open_run_log(data)
    from cronbell.dashboard.models import ApiToken

    rows = [_row(token) for token in ApiToken.objects.select_related("user").order_by("id")]
    if json:
        print_json({"tokens": rows})
    elif rows:
        names = ["id", "name", "user", "scope", "state", "expiresAt", "lastUsedAt"]
        print_table(names, [[str(row[name] or "-") for name in names] for row in rows])
    else:
        sys.stdout.write("there is no token: `cronbell tokens make NAME --user USER` makes one\n")


@app.command("make")
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What will use it.")],
    user: Annotated[str, typer.Option("--user", help="Whose: an administrator's name.")],
    scope: Annotated[
        str, typer.Option("--scope", help="read, run (and cancel) or manage (everything).")
    ] = "read",
    days: Annotated[int, typer.Option("--days", help="How long it is valid.")] = 90,
    for_ever: Annotated[
        bool, typer.Option("--until-revoked", help="Valid until it is revoked.")
    ] = False,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make a token and print it, this once."""
    open_run_log(data)
    from cronbell.cli.who import user_named
    from cronbell.dashboard import tokens as api_tokens
    from cronbell.dashboard.scopes import Scope, scope_of

    wanted = scope_of(scope)
    if wanted is None:
        choices = ", ".join(one.word for one in Scope)
        raise typer.BadParameter(f"{scope!r} is none of {choices}", param_hint="--scope")
    made, text = api_tokens.make(
        user_named(user), name=name, scope=wanted, days=None if for_ever else days
    )
    if json:
        print_json(_row(made) | {"token": text})
        return
    sys.stderr.write("this is the only time it is shown; only a digest of it is kept\n")
    sys.stdout.write(f"{text}\n")


@app.command("revoke")
def revoke(
    token: Annotated[int, typer.Argument(metavar="ID", help="See `cronbell tokens`.")],
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make a token useless from now on."""
    open_run_log(data)
    from cronbell.dashboard import tokens as api_tokens

    row = _row(api_tokens.revoke(token, actor=command_line_actor()))
    if json:
        print_json(row)
        return
    sys.stdout.write(f"the token {row['name']!r} is revoked since {row['revokedAt']}\n")


def _row(token: ApiToken) -> dict[str, Any]:
    from cronbell.clock import SYSTEM_CLOCK, iso
    from cronbell.dashboard.tokens import is_valid

    state = "valid" if is_valid(token, SYSTEM_CLOCK.now()) else "expired"
    return {
        "id": token.pk,
        "name": token.name,
        "user": token.user.get_username(),
        "scope": token.scope,
        "state": "revoked" if token.revoked_at else state,
        "createdAt": iso(token.created_at),
        "expiresAt": iso(token.expires_at) if token.expires_at else None,
        "revokedAt": iso(token.revoked_at) if token.revoked_at else None,
        "revokedBy": token.revoked_by,
        "lastUsedAt": iso(token.last_used_at) if token.last_used_at else None,
        "lastUsedFrom": token.last_used_from,
    }

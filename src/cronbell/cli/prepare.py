"""``cronbell prepare``: what ``up`` does before it serves, for where something else serves."""

from __future__ import annotations

import os
import sys

import typer

from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, point_at_data
from cronbell.cli.up import sign_in_lines


def prepare(json: JsonOption = False, data: DataOption = None) -> None:
    """Make or migrate the databases and the first administrator; start nothing.

    For a deployment where a platform starts the web process; `up` does it by itself.
    """
    directory = point_at_data(data)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cronbell.server.settings")
    from cronbell.server.prepare import prepare as prepare_databases
    from cronbell.server.prepare import prepare_directory, storage_summary

    prepare_directory(directory)
    password = prepare_databases(directory)
    store = storage_summary()
    if json:
        # The password is shown on a terminal only: JSON is what gets kept in logs.
        if password is not None:
            typer.echo("\n".join(sign_in_lines(password)), err=True)
        print_json({"ok": True, "store": store, "administrator_made": password is not None})
        return
    sys.stdout.write("\n".join([f"  Ready         {store}", *sign_in_lines(password), ""]))

"""``cronbell audit``: who changed what, when and from where."""

from __future__ import annotations

import json as json_module
import sys
from typing import Annotated

import typer

from cronbell.cli.output import print_json, print_table
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log

MOST = 10_000


def audit(
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MOST, help="The newest so many.")
    ] = 50,
    actor: Annotated[str, typer.Option("--actor", help="Only by this user.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Only to this job, run, user …")] = "",
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List what was changed, newest first. Rows are added and never changed."""
    open_run_log(data)
    from cronbell.runlog import audit as log
    from cronbell.runlog.audit import shape

    rows = [shape(row) for row in log.page(log.Wanted(actor, None, subject), limit=limit).rows]
    if json:
        print_json({"rows": rows})
    elif rows:
        names = ["at", "actor", "means", "source", "action", "subject"]
        cells = [
            [*(str(row[name]) for name in names),
             json_module.dumps(row["details"], ensure_ascii=False)]
            for row in rows
        ]  # fmt: skip
        print_table([*names, "details"], cells)
    else:
        sys.stdout.write("nobody has changed anything\n")

"""Why a message did not arrive, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from cronbell.runlog.alert_tables import Delivery
from cronbell.runlog.reasons import explain


def why_not(one: Delivery) -> str:
    """Say why the last attempt at a message failed; empty where it did not."""
    data: Mapping[str, Any] = one.reason_data if isinstance(one.reason_data, dict) else {}
    error = {"error": str(data.get("error", "?"))}
    own = {
        "no_secret": _("a secret is missing: %(error)s") % error,
        "mail": _("the mail server did not take it: %(error)s") % error,
        "mail_partly": _("sent, but the mail server refused these addresses: %(error)s") % error,
        "channel_removed": _("the channel is no longer configured"),
        "http_status": _("the answer was HTTP %(status)s") % {"status": data.get("status", "?")},
    }
    return own.get(one.reason) or explain(one.reason, data)

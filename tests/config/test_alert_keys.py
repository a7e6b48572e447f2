"""``[alerts]``: what it may hold, what is said where it may not, and that no secret is in it."""

from __future__ import annotations

import json

import pytest

from cronbell.config.alerts import NO_ALERTS, Alerts, ChannelType, Condition
from cronbell.config.loader import check_files, load

WHOLE = """
target = "https://app.example.com"
allowed_hosts = ["hooks.example.com", "smtp.example.com:587"]

[alerts]
after = 2
late = "10m"
runner_down = "2m"
link = "https://cron.example.com/"

[alerts.channels.ops]
type = "webhook"
url = "https://hooks.example.com/cronbell"
secret = ["env:OPS_NEW", "env:OPS_OLD"]
on = ["failed", "runner_down", "recovered"]
quiet = [{ days = ["sat", "sun"] }, { from = "22:00", to = "06:00" }]
timezone = "Europe/Berlin"
digest = "5m"
remind = "never"
language = "ko"

[alerts.channels.chat]
type = "slack"
url = "env:SLACK_URL"
jobs = ["billing-*"]

[alerts.channels.mail]
type = "email"
smtp = "smtp.example.com:587"
username = "cronbell"
password = "file:/run/secrets/smtp"
from = "cronbell@example.com"
to = ["team@example.com"]

[jobs.digest]
path = "/digest"
schedule = "0 * * * *"
[jobs.digest.alerts]
after = 5
too_long = "20m"
backlog = 100
partial = false
channels = ["chat"]

[jobs.noise]
path = "/noise"
every = "5m"
alerts = false
"""


def written(tmp_path, text):
    path = tmp_path / "cronbell.toml"
    path.write_text(text)
    return path


def test_all_of_it_is_read_and_comes_back_from_json(tmp_path):
    alerts = load(None, written(tmp_path, WHOLE)).alerts
    assert [channel.type for channel in alerts.channels.values()] == list(ChannelType)
    ops = alerts.channels["ops"]
    assert (ops.digest, ops.remind, ops.language, len(ops.quiet)) == (300.0, None, "ko", 2)
    assert alerts.link == "https://cron.example.com"
    assert (alerts.rule.after, alerts.rule_of("digest").after) == (2, 5)
    assert alerts.rule_of("digest").late == 600.0
    names = {job: [c.name for c in alerts.channels_for(Condition.FAILED, job)] for job in
             ("digest", "noise", "billing-eu", "other")}  # fmt: skip
    assert names == {
        "digest": ["chat"], "noise": [], "billing-eu": ["ops", "chat", "mail"],
        "other": ["ops", "mail"],
    }  # fmt: skip
    assert Alerts.from_plain(json.loads(json.dumps(alerts.plain()))) == alerts
    assert Alerts.from_plain({}) == NO_ALERTS


def test_without_a_word_nobody_is_told(tmp_path):
    assert load(None, written(tmp_path, "")).alerts.channels == {}


CHANNEL = '[alerts.channels.ops]\ntype = "webhook"\nurl = "env:U"\nsecret = "env:S"\n'
MAIL = (
    'allowed_hosts = ["s.example"]\n[alerts.channels.m]\ntype = "email"\nsmtp = "s.example:25"\n'
    'from = "a@b.example"\nto = ["c@d.example"]\n'
)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[alerts]\nafterr = 2\n", 2, "`afterr` is not known"),
        ("[alerts]\nafter = 0\n", 2, "out of range"),
        ('[alerts]\nlate = "1s"\n', 2, "out of range"),
        ("alerts = 3\n", 1, "must be a table"),
        ('[alerts.channels.ops]\nurl = "env:U"\n', 1, "needs a `type`"),
        ('[alerts.channels.ops]\ntype = "pager"\n', 2, "`pager` is not known"),
        ('[alerts.channels.ops]\ntype = "webhook"\nurl = "env:U"\n', 1, "needs `secret`"),
        (CHANNEL + 'smtp = "a:1"\n', 5, "`smtp` is not known"),
        (CHANNEL + 'on = ["broken"]\n', 5, "`broken` is not known"),
        (CHANNEL + 'jobs = ["a b"]\n', 5, "none of names of jobs"),
        (CHANNEL + "quiet = [{ from = 3 }]\n", 5, "`from`"),
        (CHANNEL + 'quiet = "22:00"\n', 5, "`quiet` must be a list"),
        (CHANNEL + 'remind = "1s"\n', 5, "out of range"),
        (CHANNEL + 'timezone = "Mars"\n', 5, "Mars"),
        (CHANNEL + 'language = "fr"\n', 5, "`fr` is not known"),
        (CHANNEL.replace('"env:S"', '"whsec_abc"'), 4, "must name where the secret is"),
        ('[alerts.channels.s]\ntype = "slack"\nurl = "https://hooks.example/T0/B0"\n', 3,
         "must name where the secret is"),
        (CHANNEL.replace("env:U", "https://elsewhere.example/x"), 3, "is not allowed"),
        (MAIL.replace('allowed_hosts = ["s.example"]\n', "\n"), 4, "is not allowed"),
        (MAIL + 'username = "x"\n', 2, "belong together"),
        (MAIL + 'username = "x"\npassword = "env:P"\ntls = "none"\n', 9, "sent in clear"),
        (MAIL.replace("a@b.example", "a@b.example\\nBcc: x@y.example"), 5, "is no address"),
        (MAIL.replace("c@d.example", "c@d.example, x@y.example"), 6, "none of addresses"),
        ("[defaults]\nalerts = { after = 2 }\n", 2, "a table of its own"),
        ('[jobs.a]\npath = "/a"\nevery = "5m"\nalerts = { channels = ["nobody"] }\n', 4,
         "no channel `nobody`"),
        ('[jobs.a]\npath = "/a"\nevery = "5m"\nalerts = { on = 3 }\n', 4, "`on` is not known"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path, text, line, said):
    errors, _, _ = check_files(None, written(tmp_path, text))
    assert [fault.line for fault in errors] == [line], errors
    assert said in errors[0].message
    assert errors[0].hint
    assert "whsec_" not in str(errors)
    assert "T0/B0" not in str(errors)


def test_a_heartbeat_has_alerts_too(tmp_path):
    text = '[jobs.b]\nheartbeat = true\nevery = "5m"\nalerts = { late = "1m" }\n'
    config = load(None, written(tmp_path, text))
    assert config.alerts.rule_of("b").late == 60.0
    assert config.jobs[0].heartbeat

"""``docs/reference`` is what ``make docs`` writes from the code as it is."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from tests.support import documents, source

SCRIPT = source.ROOT / "scripts" / "reference.py"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference_script", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_current():
    answer = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr


def test_every_page_is_listed_and_every_reader_finds_them(reference):
    listed = documents.LINK.findall(source.text(reference.FOLDER / "README.md"))
    assert sorted(listed) == sorted(f"{name}.md" for name in reference.PAGES if name != "README")
    for readme in ("README.md", "README.ko.md"):
        assert "docs/reference/README.md" in documents.LINK.findall(
            source.text(source.ROOT / readme)
        )


def test_every_key_a_job_may_have_is_in_the_settings(reference):
    from cronbell.config import alert_keys, values

    page = source.text(reference.FOLDER / "settings.md")
    keys = {*values.SHARED_KEYS, *values.JOB_KEYS, *values.RETRY_KEYS}
    keys |= {*alert_keys.TOP_KEYS, *alert_keys.JOB_KEYS, *alert_keys.CHANNEL_KEYS}
    keys |= {key for own in alert_keys.OWN_KEYS.values() for key in own}
    assert not [key for key in keys if f"| `{key}` | " not in page]
    assert "Overlap.SKIP" not in page
    assert "object at" not in page


def test_sabotage_a_page_that_was_edited_left_over_or_lost_is_named(reference, tmp_path):
    (tmp_path / "edited.md").write_text("by hand")
    (tmp_path / "old.md").write_text("of a page that is gone")
    (tmp_path / "same.md").write_text("same")
    wanted = {"edited.md": "by the code", "lost.md": "", "same.md": "same"}
    assert reference.stale(wanted, tmp_path) == ["edited.md", "lost.md", "old.md"]


def test_sabotage_what_nobody_describes_stops_the_writing(reference):
    with pytest.raises(SystemExit, match="nobody says what `--new` is"):
        reference._described(None, "`--new`")

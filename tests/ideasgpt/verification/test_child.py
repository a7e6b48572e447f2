"""The process that reads a document: a sample of documents through real ones, and its limits."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import pytest
from tests.ideasgpt.verification import hostile

from cronbell.clock import SYSTEM_CLOCK
from ideasgpt.verification import child, documents

PDF, TEXT = "application/pdf", "text/plain"
CHILD = Path(child.__file__)
# A child that has the real one's limits, made small, and then does harm.
HARMFUL = f"""
import os, runpy, signal, sys
real = runpy.run_path({str(CHILD)!r})
real["limit"].__globals__.update(CPU_SECONDS=1, WALL_SECONDS={{wall}}, MEMORY=256 << 20)
if {{limited}}:
    real["limit"]()
{{harm}}
print('{{{{"text": "harm done", "problems": []}}}}')
"""


def extract(data, content_type):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return documents.extract(file, content_type)


@pytest.fixture
def harmful(tmp_path, monkeypatch):
    """Have a program that does harm in the child's place; give what comes of it."""

    def run(harm, *, wall=20, limited=True):
        program = tmp_path / "child.py"
        program.write_text(HARMFUL.format(harm=harm, wall=wall, limited=limited))
        monkeypatch.setattr(documents, "CHILD", program)
        return extract(b"x", TEXT)

    return run


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (hostile.TRUE.encode(), TEXT),
        ("허가: MIT".encode("cp949"), TEXT),
        (hostile.true_pdf(), PDF),
        (hostile.hidden("1 g"), PDF),
        (hostile.bomb(layers=2), PDF),
        (hostile.true_pdf()[:300], PDF),
    ],
)
def test_the_child_says_what_the_same_function_says_here(content, content_type):
    said = child.found_in(content_type, io.BytesIO(content))
    assert extract(content, content_type) == (said["text"], tuple(said["problems"]))


@pytest.mark.parametrize(
    ("harm", "outcome"),
    [
        ("while True: pass", ("", ("too_costly",))),
        ("bytearray(300 << 20)", ("", ("too_costly",))),
        ("sys.stdout.write('x' * (2 << 20))", ("", ("too_costly",))),
        ("os.kill(os.getpid(), signal.SIGSEGV)", ("", ("too_costly",))),
        ("print('no JSON')", ("", ("broken",))),
    ],
)
def test_a_child_that_runs_wild_is_a_problem_of_the_document(harmful, harm, outcome):
    assert harmful(harm) == outcome


def test_a_child_that_sleeps_is_ended_by_itself_and_one_that_cannot_be_by_its_parent(
    harmful, monkeypatch
):
    started = SYSTEM_CLOCK.monotonic()
    assert harmful("signal.pause()", wall=1) == ("", ("too_costly",))
    monkeypatch.setattr(documents, "WALL_SECONDS", 1.0)
    deaf = "signal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: signal.sigwait([])"
    assert harmful(deaf.replace("sigwait([])", "pause()")) == ("", ("too_costly",))
    assert SYSTEM_CLOCK.monotonic() - started < documents.WALL_SECONDS + child.WALL_SECONDS


def test_sabotage_without_limits_the_memory_is_taken(harmful):
    assert harmful("bytearray(300 << 20)", limited=False) == ("harm done", ())


def test_the_child_gets_no_environment_and_imports_nothing_of_ours(harmful, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-tests")
    told = (
        "import json\n"
        "ours = [name for name in sys.modules if name.startswith(('cronbell', 'ideasgpt'))]\n"
        "print(json.dumps({'text': ' '.join([*os.environ, os.getcwd(), *ours]), 'problems': []}))\n"
        "sys.exit()"
    )
    text, problems = harmful(told)
    assert problems == ()
    assert set(text.split()) <= {"LANG", "LC_CTYPE", "/"}
    assert "OPENAI_API_KEY" in os.environ

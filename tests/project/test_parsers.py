"""Files of strangers are taken apart in limited children only (C22).

What can be made to run wild by a document (a PDF, a picture, an archive, XML) is never in the web
process or the runner: not imported by any module of ours outside of the child's own program, and
not loaded in a process that has loaded everything we have.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import source
from tests.support.processes import environment

# The program that reads documents; it runs by itself, under limits (verification/test_child.py).
CHILD = source.SRC / "ideasgpt" / "verification" / "child.py"
PARSERS = frozenset({
    "pypdf", "PyPDF2", "pdfminer", "pdfplumber", "fitz", "pymupdf", "PIL", "cv2", "imageio",
    "pytesseract", "docx", "openpyxl", "xlrd", "lxml", "xml", "defusedxml", "zipfile", "yaml",
    "magic", "pickle", "marshal", "shelve",
})  # fmt: skip
# The parsers a library of ours loads by itself, without a stranger's file ever reaching them:
# Django's serialisers and admin (xml), Django's cache and sessions (pickle), the import system
# (marshal, zipfile).
LOADED_ANYWAY = frozenset({"xml", "pickle", "marshal", "zipfile"})
LOAD_EVERYTHING = """
import importlib, json, pkgutil, sys
import django
django.setup()
import cronbell, ideasgpt
for package in (cronbell, ideasgpt):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__") and module.name != CHILD:
            importlib.import_module(module.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imports(text: str) -> set[str]:
    """Return the top-level packages that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            first = node.args[0] if node.args else None
            if called in {"import_module", "__import__"} and isinstance(first, ast.Constant):
                found.add(str(first.value).partition(".")[0])
    return found


@pytest.mark.parametrize("package", ["cronbell", "ideasgpt"])
def test_no_module_but_the_childs_program_imports_a_parser(package: str):
    """C22: by walking every import there is, the late ones within functions too."""
    found = {
        str(path.relative_to(source.SRC)): taken
        for path in (source.SRC / package).rglob("*.py")
        if (taken := imports(source.text(path)) & PARSERS) and path != CHILD
    }
    assert found == {}


def test_the_child_is_the_one_that_does():
    assert imports(source.text(CHILD)) & PARSERS == {"pypdf"}


def test_a_process_that_has_loaded_all_of_us_has_no_parser_in_it(tmp_path: Path):
    """C22: nor does a library bring one along."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD_EVERYTHING.replace("CHILD", repr(source.module_of(CHILD)))],
        env={
            **environment(),
            "CRONBELL_DATA": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "ideasgpt.settings",
            "DJANGO_SECRET_KEY": "signs-nothing-in-this-process",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"django", "cronbell", "ideasgpt"} <= loaded
    assert loaded & PARSERS <= LOADED_ANYWAY


@pytest.mark.parametrize(
    "text",
    ["import pypdf", "from PIL import Image", "def f():\n    import lxml.etree",
     "import importlib\nimportlib.import_module('cv2')", "__import__('fitz')"],
)  # fmt: skip
def test_sabotage_a_parser_is_seen_however_it_is_imported(text: str):
    assert imports(text) & PARSERS

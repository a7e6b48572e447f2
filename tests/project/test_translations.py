"""Every text is translated, compiled and up to date with the source."""

from __future__ import annotations

import re
from pathlib import Path

import polib
import pytest
from tests.support import catalogues, machine, source

# What is called by another name is shown in English for ever: gathering looks for names.
ALIAS = re.compile(r"gettext\w* as (?!_\b)\w+")
EACH = [
    pytest.param(package, language, id=f"{package}-{language}")
    for package in source.PACKAGES
    for language in catalogues.LANGUAGES
]


@pytest.mark.parametrize(("package", "language"), EACH)
def test_every_text_is_translated_with_its_placeholders(package: str, language: str):
    po = catalogues.written(package, language)
    assert len(po)
    assert not list(catalogues.faults(po))


@pytest.mark.parametrize(("package", "language"), EACH)
def test_what_is_compiled_is_what_is_written(package: str, language: str):
    po, mo = (read(package, language) for read in (catalogues.written, catalogues.compiled))
    assert not catalogues.compiled_differs(po, mo), "run make messages"


@pytest.mark.parametrize(("package", "language"), EACH)
def test_the_catalogue_has_exactly_the_texts_of_the_source(
    package: str, language: str, tmp_path: Path
):
    machine.require("gettext")
    known = catalogues.keys(catalogues.written(package, language))
    found = catalogues.keys(catalogues.gathered(package, language, tmp_path))
    assert not found - known, "run make messages: these texts are not in the catalogue"
    assert not known - found, "run make messages: these texts are no longer in the source"


def test_no_text_is_called_by_a_name_that_gathering_does_not_know():
    hidden = [
        f"{source.name(path)}: {words}"
        for path in source.under("src", suffix=".py")
        for words in ALIAS.findall(source.text(path))
    ]
    assert not hidden


@pytest.mark.parametrize("words", ["import gettext as _now", "import pgettext_lazy as said"])
def test_sabotage_another_name_is_seen(words: str):
    assert ALIAS.findall(words)
    assert not ALIAS.findall("import gettext_lazy as _")


def entry(**values) -> polib.POEntry:
    return polib.POEntry(**{"msgid": "%(n)s runs", "msgstr": "실행 %(n)s개", **values})


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (entry(msgstr=""), "not translated"),
        (entry(msgstr="  "), "not translated"),
        (entry(flags=["fuzzy"]), "fuzzy"),
        (entry(msgstr="실행 %(m)s개"), "other placeholders"),
        (entry(msgstr="실행"), "other placeholders"),
        (entry(msgid_plural="%(n)s", msgstr="", msgstr_plural={0: ""}), "not translated"),
    ],
)
def test_sabotage_each_fault_is_seen(one: polib.POEntry, words: str):
    po = polib.POFile()
    po.append(entry(msgid="%(n)s others"))
    assert not list(catalogues.faults(po))
    po.append(one)
    assert [fault.split(":")[0] for fault in catalogues.faults(po)] == [words]


def test_sabotage_a_stale_compiled_file_is_seen(tmp_path: Path):
    po = polib.POFile(encoding="utf-8")
    po.append(entry())
    po.save_as_mofile(str(tmp_path / "django.mo"))
    mo = polib.mofile(str(tmp_path / "django.mo"))
    assert not catalogues.compiled_differs(po, mo)
    po[0].msgstr = "%(n)s개 실행"
    assert catalogues.compiled_differs(po, mo) == {"%(n)s runs"}

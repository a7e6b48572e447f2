"""Whatever JSON a vercel.json holds, the answer is a list of faults and the good jobs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronbell.config.loader import check_files

KEYS = st.sampled_from(
    ["name", "path", "schedule", "timezone", "jitter", "function", "topic", "entrypoint",
     "requestMethod", "service", "maxDuration", "odd", ""]
)  # fmt: skip
WORDS = st.sampled_from(
    ["/a", "0 0 * * *", "*/5 * * * *", "GET", "UTC", "Asia/Seoul", "max", "\ud800", "a" * 300]
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    WORDS, st.text(max_size=5),
)  # fmt: skip
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)
ENTRY = st.dictionaries(KEYS, LEAVES, max_size=6)
GLOBS = st.text(alphabet="ap/*[]{},.ts!()\\", max_size=12)
REDIRECT = st.fixed_dictionaries({"source": st.text(alphabet="/:a(.*)+\\?{}[]", max_size=12)})
FILES = st.fixed_dictionaries(
    {},
    optional={
        "crons": ANY | st.lists(ENTRY, max_size=4),
        "schedules": ANY
        | st.lists(ENTRY, max_size=4)
        | st.dictionaries(st.text(max_size=4), ENTRY, max_size=4),
        "functions": ANY | st.dictionaries(GLOBS, ENTRY, max_size=4),
        "redirects": ANY | st.lists(REDIRECT, max_size=4),
        "trailingSlash": LEAVES,
        "builds": LEAVES,
    },
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("any") / "vercel.json"


@settings(max_examples=400, deadline=None)
@given(document=FILES)
def test_any_json_gets_faults_with_lines_and_words(path, document):
    path.write_text(json.dumps(document))
    errors, warnings, jobs = check_files(path, None, plan="hobby")
    assert all(fault.message and fault.line for fault in (*errors, *warnings))
    assert len({job.name for job in jobs}) == len(jobs)

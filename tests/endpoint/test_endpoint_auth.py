"""Who is let in: exactly the bearer of the secret, and every other form of header is 401."""

from __future__ import annotations

import ast
import dataclasses
import inspect

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.endpoint.support import PREVIOUS, SECRET, Bench, body, request

from cronbell.endpoint import auth
from cronbell.endpoint.auth import Gate
from cronbell.errors import SecretError

S = SECRET.encode()

# Each is the list of the request's Authorization headers.
LET_IN = [
    [b"Bearer " + S],
    [b"bearer " + S],
    [b"BEARER " + S],
    [b"bEaReR " + S],
]
REFUSED = [
    [],
    [b""],
    [b" "],
    [b"Bearer"],
    [b"Bearer "],
    [b"Bearer  "],
    [b"Bearer  " + S],
    [b"Bearer\t" + S],
    [b"Bearer\xa0" + S],
    [b" Bearer " + S],
    [b"\tBearer " + S],
    [b"Bearer " + S + b" "],
    [b"Bearer " + S + b"\t"],
    [b"Bearer " + S + b"\n"],
    [b"Bearer " + S + b"\r\n"],
    [b"Bearer " + S + b"\0"],
    [b"Bearer \0" + S],
    [b"Bearer\0" + S],
    [b"Bearer" + S],
    [b"Bearer:" + S],
    [b"Bearer: " + S],
    [b"Bearer=" + S],
    [b"Bearer,"],
    [b"Bearer ," + S],
    [b"Bearer " + S + b","],
    [b"Bearer " + S + b", Bearer " + S],
    [b"Bearer " + S + b",Bearer " + S],
    [b"Bearer " + S, b"Bearer " + S],
    [b"Bearer " + S, b"Bearer wrong"],
    [b"Bearer wrong", b"Bearer " + S],
    [b"Bearer " + S, b""],
    [b"", b"Bearer " + S],
    [b"Bearer " + S + b" x"],
    [b"Bearer x " + S],
    [b"Bearer Bearer " + S],
    [b"xBearer " + S],
    [b"Bearerx " + S],
    [b"Bearer-" + S],
    [b"Bearer " + S[:-1]],
    [b"Bearer " + S[1:]],
    [b"Bearer " + S + b"a"],
    [b"Bearer a" + S],
    [b"Bearer " + S + S],
    [b"Bearer " + S.upper()],
    [b"Bearer " + S.swapcase()],
    [b"Bearer " + S[::-1]],
    [b"Bearer " + S.replace(b"-", b"_")],
    [b"Bearer " + S[:-1] + bytes([S[-1] ^ 1])],
    [b"Bearer " + bytes([S[0] ^ 1]) + S[1:]],
    [b'Bearer "' + S + b'"'],
    [b"Bearer '" + S + b"'"],
    [b"Bearer <" + S + b">"],
    [b"Bearer token=" + S],
    [b"Bearer undefined"],
    [b"Bearer null"],
    [b"Bearer None"],
    [b"Bearer false"],
    [b"Bearer $CRON_SECRET"],
    [b"Bearer ${CRON_SECRET}"],
    [b"Bearer x"],
    [b"Bearer *"],
    [b"Basic " + S],
    [b"Basic Bearer " + S],
    [b"Basic Og=="],
    [b"Token " + S],
    [b"Digest " + S],
    [S],
    [b"undefined"],
    [b"\xe9"],
    [b"Bearer \xe9"],
    [b"Bearer " + S + b"\xe9"],
    [b"Bearer \xff\xfe" + S],
    [b"B\xc3\xa9arer " + S],
    ["Bеarer ".encode() + S],  # a Cyrillic е
    [b"Bearer " + S.decode().encode("utf-16")],
    [b"Bearer " + b"a" * 1_000_000],
    [b"Bearer " + S + b"a" * 1_000_000],
    [b"Bearer%20" + S],
    [b"Bearer+" + S],
]


def test_the_table_is_as_long_as_promised():
    forms = {tuple(form) for form in LET_IN + REFUSED}

    assert len(forms) == len(LET_IN) + len(REFUSED) >= 60


@pytest.mark.parametrize("headers", LET_IN, ids=repr)
def test_the_bearer_of_the_secret_is_let_in(headers):
    assert Gate.of(SECRET).which(headers) == 0


@pytest.mark.parametrize("headers", REFUSED, ids=lambda headers: repr(headers)[:60])
def test_any_other_form_of_header_is_refused(headers):
    assert Gate.of(SECRET, PREVIOUS).which(headers) is None


@given(st.lists(st.binary(max_size=60), max_size=3))
@example([b"Bearer " + S + b"\x00"])
def test_no_header_made_up_by_chance_gets_in_or_raises(headers):
    assert Gate.of(SECRET).which(headers) is None


@given(st.binary(min_size=1, max_size=3), st.integers(0, len(S)))
def test_bytes_put_anywhere_into_the_token_make_it_wrong(extra, where):
    token = S[:where] + extra + S[where:]

    assert Gate.of(SECRET).which([b"Bearer " + token]) is None


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=80))
def test_any_secret_worth_the_name_lets_its_bearer_in_and_nobody_else(secret):
    gate = Gate.of(secret)

    assert gate.which([b"Bearer " + secret.encode()]) == 0
    assert gate.which([b"Bearer " + secret[:-1].encode()]) is None


def test_during_a_rotation_both_secrets_are_valid_and_after_it_only_the_new_one():
    rotating = Gate.from_env({"CRON_SECRET": SECRET, "CRON_SECRET_PREVIOUS": PREVIOUS})
    rotated = Gate.from_env({"CRON_SECRET": SECRET})

    assert rotating.which([b"Bearer " + S]) == 0
    assert rotating.which([b"Bearer " + PREVIOUS.encode()]) == 1
    assert rotated.which([b"Bearer " + S]) == 0
    assert rotated.which([b"Bearer " + PREVIOUS.encode()]) is None


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"CRON_SECRET": ""},
        {"CRON_SECRET": " " * 20},
        {"CRON_SECRET": "undefined"},
        {"CRON_SECRET": "None"},
        {"CRON_SECRET": "null"},
        {"CRON_SECRET": "changeme"},
        {"CRON_SECRET": "short"},
        {"CRON_SECRET": "fifteen-letters"},
        {"CRON_SECRET": " with-a-blank-before-it"},
        {"CRON_SECRET": "with-a-blank-after-it "},
        {"CRON_SECRET": "with-a-newline-after\n"},
        {"CRON_SECRET": "비밀비밀비밀비밀비밀비밀비밀비밀비밀"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("headers", [*LET_IN, *REFUSED[:8], [b"Bearer undefined"]], ids=repr)
def test_without_a_usable_secret_every_call_is_500_and_no_job_runs(tmp_path, env, headers):
    bench = Bench(tmp_path)
    bench.endpoint._gate = Gate.from_env(env)
    sent = request(secret=None)
    sent = type(sent)(
        sent.method, sent.path, sent.target, tuple((b"authorization", value) for value in headers)
    )

    answer = bench.call(sent)

    assert answer.status == 500
    assert "CRON_SECRET" in body(answer)["error"]
    assert bench.work.runs == 0
    value = env.get("CRON_SECRET", "").strip()
    assert not value or value not in body(answer)["error"], "the value must not be shown"


def test_a_secret_that_is_too_short_cannot_be_given_in_code_either():
    with pytest.raises(SecretError):
        Gate.of("short")


def test_refusals_are_401_with_the_fixed_body_and_run_nothing(tmp_path):
    bench = Bench(tmp_path)

    answer = bench.call(request(secret="wrong-but-long-enough"))

    assert (answer.status, body(answer)) == (401, {"error": "Unauthorized"})
    assert bench.work.runs == 0


def test_bad_headers_of_a_stranger_are_401_not_400(tmp_path):
    answer = Bench(tmp_path).call(request(secret=None, idempotency_key="", x_cronbell_attempt="x"))

    assert answer.status == 401


def test_the_gate_keeps_and_shows_no_secret():
    assert SECRET not in repr(Gate.of(SECRET))


def test_secrets_are_compared_by_compare_digest_only():
    """Every secret is compared in constant time, and no comparison ends the loop early."""
    tree = ast.parse(inspect.getsource(auth.Gate.which).lstrip().replace("\n    ", "\n"))
    loop = next(node for node in ast.walk(tree) if isinstance(node, ast.For))
    names = {node.attr for node in ast.walk(loop) if isinstance(node, ast.Attribute)}

    assert "compare_digest" in names
    assert not [node for node in ast.walk(loop) if isinstance(node, ast.Return | ast.Break)]
    assert not [
        node
        for node in ast.walk(loop)
        if isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
    ]


@pytest.mark.parametrize("gate", [Gate(), Gate.of(), Gate.from_env({})], ids=["made", "of", "env"])
def test_a_gate_without_secrets_lets_nobody_in_and_says_so(gate: Gate):
    assert gate.fault == auth.NOBODY
    assert gate.which([b"Bearer "]) is gate.which([b"Bearer " + S]) is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        gate.fault = ""

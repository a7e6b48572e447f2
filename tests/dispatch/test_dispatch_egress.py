"""Where a call may lead: addresses judged, names pinned, a resolver that lies (C09, C10)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronbell.clock import SYSTEM_CLOCK
from cronbell.config.urls import UrlError, parse_url
from cronbell.dispatch import BadRequestError, Dispatcher, PyreqwestTransport, Reach
from cronbell.dispatch.egress import MAX_KNOWN, Lookups, is_address, refusal, system_resolver
from cronbell.dispatch.request import Request, canonical_url
from cronbell.dispatch.transport import Failure, Response
from cronbell.domain import Outcome
from cronbell.states import Reason, Status
from cronbell.testing import FakeClock, ScriptedTarget, answers

from .conftest import CALL, DUE, SECRET, SPEC
from .test_dispatch_tls import AUTHORITY, server

ANY = "0.0.0.0"  # noqa: S104 - as an address to call, not to listen on
NEVER = {
    "169.254.169.254": "link-local",
    "169.254.0.1": "link-local",
    "100.100.100.200": "metadata",
    "168.63.129.16": "metadata",
    "192.0.0.192": "metadata",
    "fd00:ec2::254": "metadata",
    "fd20:ce::254": "metadata",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "link-local",
    ANY: "unspecified",
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "192.0.2.1": "reserved",
    "2001:db8::1": "reserved",
    # 169.254.169.254 in the clothes of IPv6: mapped, translated, compatible, NAT64 (both forms),
    # 6to4, Teredo (the client's part is inverted), ISATAP.
    "::ffff:169.254.169.254": "link-local",
    "::ffff:0:169.254.169.254": "link-local",
    "::169.254.169.254": "link-local",
    "64:ff9b::a9fe:a9fe": "link-local",
    "64:ff9b:1:a9fe:a9:fe00::": "link-local",
    "64:ff9b:1::a9fe:a9fe": "link-local",
    "64:ff9b:1:6464:64:c800::": "metadata",
    "2001:0:a9fe:a9fe::1": "link-local",
    "::2": "unspecified",
    "2002:a9fe:a9fe::1": "link-local",
    "2001:0:808:808:0:0:5601:5601": "link-local",
    "2606:4700::5efe:a9fe:a9fe": "link-local",
    "2606:4700::200:5efe:a9fe:a9fe": "link-local",
}
INSIDE = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "100.64.0.1": "shared",
    "100.127.255.255": "shared",
    "198.18.0.1": "special",
    "192.88.99.1": "special",
    "::ffff:127.0.0.1": "loopback",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a00:1": "private",
    "2002:7f00:1::": "loopback",
    "2002:c0a8:101::1": "private",
    "2001:0:808:808::80ff:fffe": "loopback",
    "4000::1": "unassigned",
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"]


@pytest.mark.parametrize(("address", "kind"), NEVER.items())
def test_where_no_application_is_nothing_is_called_whoever_named_the_host(address, kind):
    """C09: cloud metadata, link-local, multicast, reserved, in every spelling."""
    assert refusal(address, Reach.ALLOWED) == kind
    assert refusal(address, Reach.PUBLIC) == kind


@pytest.mark.parametrize(("address", "kind"), INSIDE.items())
def test_ones_own_network_is_for_hosts_that_are_named(address, kind):
    """C09: an internal target has to be allowed explicitly."""
    assert refusal(address, Reach.ALLOWED) == ""
    assert refusal(address, Reach.PUBLIC) == kind


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address):
    assert [refusal(address, reach) for reach in Reach] == ["", "", ""]


def test_an_address_that_is_spelled_out_is_not_judged():
    assert {refusal(address, Reach.DIRECT) for address in NEVER | INSIDE} == {""}


@pytest.mark.parametrize("port", [1, 22, 25, 110, 587, 1023])
def test_of_the_system_ports_only_those_of_the_web_are_called_where_nobody_named_the_host(port):
    assert refusal("8.8.8.8", Reach.PUBLIC, port) == "port"
    assert refusal("8.8.8.8", Reach.ALLOWED, port) == ""
    assert [refusal("8.8.8.8", Reach.PUBLIC, fine) for fine in (80, 443, 1024)] == ["", "", ""]


def test_the_system_is_asked_for_names_and_says_each_address_once():
    found = asyncio.run(system_resolver("localhost", 80))
    assert {"127.0.0.1", "::1"}.intersection(found)
    assert len(set(found)) == len(found)
    with pytest.raises(OSError):  # noqa: PT011 - each system has its own words
        asyncio.run(system_resolver("nobody-has-this-name.invalid", 80))


def test_names_are_known_side_by_side_and_what_failed_is_not():
    asked: list[str] = []
    troubles: list[dict] = []

    async def resolver(host: str, _port: int) -> list[str]:
        asked.append(host)
        if host == "gone":
            raise OSError("no such name")
        return ["10.0.0.1"]

    async def some() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, told: troubles.append(told))
        lookups = Lookups(resolver, FakeClock())
        for host in ("a", "b", "a", "b"):
            assert await lookups.addresses(host, 80) == ["10.0.0.1"]
        for _ in range(2):
            with pytest.raises(OSError, match="no such name"):
                await lookups.addresses("gone", 80)

    asyncio.run(some())
    assert asked == ["a", "b", "gone", "gone"]
    assert troubles == []


def test_what_is_spelled_as_an_address_is_no_name():
    assert is_address("127.0.0.1") is is_address("::1") is True
    assert is_address("a.example") is is_address("127.1") is False


def test_what_is_known_of_names_is_bounded_and_forgotten_after_a_second():
    asked: list[str] = []

    async def resolver(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.1"]

    async def many() -> None:
        clock = FakeClock()
        lookups = Lookups(resolver, clock)
        for number in range(MAX_KNOWN + 10):
            await lookups.addresses(f"host-{number}", 80)
            assert len(lookups._known) <= MAX_KNOWN
        last = f"host-{MAX_KNOWN + 9}"
        await lookups.addresses(last, 80)
        assert asked.count(last) == 1
        clock.advance(1)
        await lookups.addresses(last, 80)
        assert asked.count(last) == 2

    asyncio.run(many())


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_gets_by_in_ipv6_clothes(address):
    """C09: whatever is refused as itself is refused as NAT64, 6to4 and mapped as well."""
    bits = int(address)
    for reach in (Reach.ALLOWED, Reach.PUBLIC):
        if plain := refusal(str(address), reach):
            for worn in (
                f"::ffff:{address}",
                f"64:ff9b::{bits >> 16:x}:{bits & 0xFFFF:x}",
                f"2002:{bits >> 16:x}:{bits & 0xFFFF:x}::1",
            ):
                assert refusal(worn, reach), (plain, worn)


@given(st.text(max_size=60))
def test_what_is_no_address_is_refused(text):
    assert refusal(f"{text}!", Reach.PUBLIC) == "not an address"


class Names:
    """A resolver of our own: each name's answers in turn, the last one for ever."""

    def __init__(self, **answers_of: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(turns) for name, turns in answers_of.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        turns = self.answers.get(host)
        if turns is None:
            raise OSError(f"{host} is not known")
        return turns.pop(0) if len(turns) > 1 else turns[0]


def calls(names, *urls, target="", trusted=(), clock=SYSTEM_CLOCK, pause=0.0) -> list[Outcome]:
    """Call each URL in turn, all hosts being allowed, names being looked up by ``names``."""

    async def scenario() -> list[Outcome]:
        transport = PyreqwestTransport(trusted=trusted, resolver=names, clock=clock)
        hosts = frozenset(canonical_url(url)[1].host for url in urls)
        dispatcher = Dispatcher(
            transport, secret=SECRET, allowed_hosts=hosts, target=target, clock=FakeClock(DUE)
        )
        outcomes = []
        for url in urls:
            outcomes.append(await dispatcher.call(replace(SPEC, url=url), CALL, timeout=10))
            if pause:
                clock.advance(pause)
        await transport.close()
        return outcomes

    return asyncio.run(scenario())


def test_a_name_is_looked_up_once_and_the_call_goes_where_it_was_judged_to_lead(target):
    """C10: no other resolver knows this name, so the client cannot have asked a second time."""
    target.script("/x", answers.ok())
    names = Names(partner_test=[["127.0.0.1"]])

    outcomes = calls(names, f"http://partner.test:{target.port}/x")

    assert outcomes[0].status is Status.SUCCESS
    assert names.asked == ["partner.test"]
    assert target.requests[0].header("Host") == f"partner.test:{target.port}"
    assert target.requests[0].header("Authorization") == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", ANY]
)
def test_a_name_that_leads_to_a_metadata_service_is_not_called(target, address):
    """C09: the host is allowed, the address is not; the outcome says where it led."""
    outcome = calls(Names(partner_test=[[address]]), f"http://partner.test:{target.port}/x")[0]

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.ADDRESS_NOT_ALLOWED)
    assert outcome.reason_data["host"] == f"partner.test:{target.port}"
    assert outcome.reason_data["address"].startswith(f"{address} (")
    assert (outcome.http_status, outcome.retry_kind) == (None, "")
    assert target.requests == []


def test_a_name_that_flips_is_judged_anew_each_time(target):
    """C10: good at first, then the machine itself by the back door, then good again."""
    target.script("/x", answers.ok())
    names = Names(partner_test=[["127.0.0.1"], [ANY], ["127.0.0.1"]])
    url = f"http://partner.test:{target.port}/x"

    outcomes = calls(names, url, url, url, clock=FakeClock(DUE), pause=1.5)

    assert [outcome.status for outcome in outcomes] == [
        Status.SUCCESS, Status.ERROR, Status.SUCCESS
    ]  # fmt: skip
    assert outcomes[1].reason is Reason.ADDRESS_NOT_ALLOWED
    assert len(target.requests) == 2


def test_sabotage_without_the_judgement_the_flipped_name_is_called(target, monkeypatch):
    """The test above can fail: 0.0.0.0 does lead to this machine."""
    monkeypatch.setattr("cronbell.dispatch.transport.refusal", lambda *_: "")
    target.script("/x", answers.ok())

    outcome = calls(Names(partner_test=[[ANY]]), f"http://partner.test:{target.port}/x")[0]

    assert outcome.status is Status.SUCCESS
    assert len(target.requests) == 1


def test_of_several_addresses_only_the_good_ones_are_called(target):
    """C10: a mixed answer, with the bad address first; and one at which nobody listens."""
    target.script("/x", answers.ok())
    names = Names(partner_test=[["169.254.169.254", "127.0.0.77", "127.0.0.1"]])

    outcome = calls(names, f"http://partner.test:{target.port}/x")[0]

    assert outcome.status is Status.SUCCESS
    assert len(target.requests) == 1


def test_a_pinned_connection_checks_the_certificate_of_the_name():
    """C10: the address is ours to choose, who has to answer there is not."""
    with ScriptedTarget(default=answers.ok(), tls=server("good")) as good:
        mine = calls(
            Names(localhost=[["127.0.0.1"]]),
            f"https://localhost:{good.port}/x",
            trusted=(AUTHORITY,),
        )
        other = calls(
            Names(partner_test=[["127.0.0.1"]]),
            f"https://partner.test:{good.port}/x",
            trusted=(AUTHORITY,),
        )
        assert len(good.requests) == 1

    assert mine[0].status is Status.SUCCESS
    assert other[0].reason is Reason.TLS


def test_the_application_itself_is_called_wherever_it_is(target):
    """A laptop's target is on loopback; a name in a container's network leads where it leads."""
    target.script("/x", answers.ok())
    names = Names()

    direct = calls(names, target.url("/x"))
    home = calls(
        names, f"http://localhost:{target.port}/x", target=f"http://localhost:{target.port}"
    )

    assert [direct[0].status, home[0].status] == [Status.SUCCESS] * 2
    assert names.asked == []


def test_a_name_that_nobody_knows_and_a_resolver_that_hangs_are_outcomes(target):
    async def hangs(_host: str, _port: int) -> Sequence[str]:
        return await asyncio.get_running_loop().create_future()

    async def hanging() -> Response | Failure:
        transport = PyreqwestTransport(resolver=hangs)
        url, origin = canonical_url("http://slow.test/")
        received = await transport.send(
            Request("GET", url, (), origin), timeout=0.05, reach=Reach.PUBLIC
        )
        await transport.close()
        return received

    outcome = calls(Names(), "http://nobody.test/x")[0]
    assert (outcome.reason, outcome.http_status) == (Reason.DNS, 0)
    assert asyncio.run(hanging()) == Failure(Reason.TIMEOUT)


def test_jobs_that_are_due_together_ask_for_a_name_once(target):
    target.script("/x", answers.ok())
    names = Names(partner_test=[["127.0.0.1"]])

    async def scenario() -> list[Outcome]:
        transport = PyreqwestTransport(resolver=names)
        dispatcher = Dispatcher(transport, secret=SECRET, allowed_hosts=frozenset({"partner.test"}))
        spec = replace(SPEC, url=f"http://partner.test:{target.port}/x")
        outcomes = await asyncio.gather(
            *(dispatcher.call(spec, CALL, timeout=10) for _ in range(20))
        )
        await transport.close()
        return outcomes

    outcomes = asyncio.run(scenario())

    assert {outcome.status for outcome in outcomes} == {Status.SUCCESS}
    assert names.asked == ["partner.test"]


FORMS = [
    "http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:7f00:1::]/", "http://[fec0::1]/",
    "http://metadata.google.internal/", "http://localhost/", "http://127.0.0.1/",
    "http://127.0.0.1.nip.test/", "http://[::1]/", "http://[::]/", "http://0.0.0.0/",
    "http://100.64.0.1/", "http://10.0.0.1/", "http://①②⑦.⓪.⓪.①/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://127.0.0.1:22/", "http://public.test:25/", "http://224.0.0.1/",
]  # fmt: skip
UNREADABLE = [
    "http://0/", "http://127.1/", "http://0x7f.1/", "http://0x7f000001/", "http://2130706433/",
    "http://0177.0.0.1/", "http://good@127.0.0.1/", "http://good\\@bad/",
    "file:///etc/passwd", "gopher://127.0.0.1:70/_x", "ftp://127.0.0.1/", "unix:/run/x.sock",
    "http:///x", "http://[fe80::1%25eth0]/", "http://[::1", "http://127.0.0.1:99999/",
    "http://a b/", "http://\t127.0.0.1/", "//127.0.0.1/", "http:127.0.0.1", "http://%31%32%37.1/",
]  # fmt: skip


@pytest.mark.parametrize("url", UNREADABLE)
def test_a_url_that_hides_where_it_leads_is_no_url(url):
    """C09: numbers, credentials, other schemes: refused before anything is looked up."""
    with pytest.raises(BadRequestError):
        canonical_url(url)
    with pytest.raises(UrlError):
        parse_url(url)


def test_a_host_that_nobody_named_is_never_reached_inside(monkeypatch):
    """C09: every form, with a client that would tell if it were asked to connect."""
    monkeypatch.setattr(
        "cronbell.dispatch.transport.PyreqwestTransport._send",
        lambda _self, _client, request, _timeout: pytest.fail(f"connected to {request.url}"),
    )
    names = Names(
        metadata_google_internal=[["169.254.169.254"]],
        localhost=[["127.0.0.1", "::1"]],
        **{"127_0_0_1_nip_test": [["127.0.0.1"]], "public_test": [["8.8.8.8"]]},
    )

    async def scenario() -> list[Response | Failure]:
        transport = PyreqwestTransport(resolver=names)
        received = []
        for form in FORMS:
            url, origin = canonical_url(form)
            request = Request("GET", url, (("Authorization", "x"),), origin)
            received.append(await transport.send(request, timeout=5, reach=Reach.PUBLIC))
        await transport.close()
        return received

    received = asyncio.run(scenario())

    assert [one.reason for one in received if isinstance(one, Failure)] == (
        [Reason.ADDRESS_NOT_ALLOWED] * len(FORMS)
    )

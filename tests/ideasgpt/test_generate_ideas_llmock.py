"""``generate-ideas`` against llmock, a server of other people's making, on real HTTP.

``test_generate_ideas.py`` breaks what a client trusts in by a server of ours. Here somebody else
says what an OpenAI-compatible API looks like when it is well, slow, or out of order.
"""

from __future__ import annotations

import json
import re
import urllib.request

import pytest
from tests.ideasgpt.model_server import BOOK, KEY, KOREAN, LAMP, ROBOT, SHIP
from tests.support import machine
from tests.support.processes import Process
from tests.support.waiting import wait_until

from cronbell.endpoint import JobContext
from ideasgpt.ideas.jobs import generate_ideas as module
from ideasgpt.ideas.models import GeneratedBatch, Idea, ProviderPause

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

run = module.generate_ideas


class Llmock:
    """A running llmock, told by its own API what to do next."""

    def __init__(self, url: str) -> None:
        self.url = url

    def _ask(self, method: str, path: str, body: object = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_llmock/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def script(self, *behaviors: dict) -> None:
        """Have the next requests meet these, one after the other; what went before is forgotten."""
        self._ask("POST", "reset")
        self._ask("POST", "scenario", {"behaviors": list(behaviors)})

    def statuses(self) -> list[int]:
        """Return what the requests since were answered with."""
        return [one["status"] for one in self._ask("GET", "requests")["requests"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    program = machine.require("llmock")
    log = tmp_path_factory.mktemp("llmock") / "log"
    words = [str(program), "serve", "--host", "127.0.0.1", "--port", "0", "--tool-mode", "off"]
    started = Process(words, log=log)
    try:
        yield Llmock(wait_until(lambda: address(started), 60, what="llmock"))
    finally:
        started.popen.kill()
        started.popen.wait()


def address(started: Process) -> str:
    assert started.running, started.output()
    # Once it listens; the addresses before that have no port yet.
    found = re.search(r"running on (http://127\.0\.0\.1:[0-9]+) ", started.output())
    return found[1] if found else ""


@pytest.fixture
def llmock(server, monkeypatch):
    for name in ("OPENAI_MODEL", "OPENAI_PRICE", "IDEASGPT_LLM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    return server


def says(text: str, **values: object) -> dict:
    return {"type": "reply", "text": text, **values}


def ideas(*pairs: tuple[str, str]) -> str:
    listed = [{"title": title, "description": text} for title, text in pairs]
    return json.dumps({"ideas": listed}, ensure_ascii=False)


FIVE = ideas(ROBOT, LAMP, SHIP, BOOK, KOREAN)


def test_ideas_in_english_and_korean_are_stored_with_their_tokens(llmock, shelves, context):
    shelves(2)
    numbered = "\n".join(f"{n}. {title}\n{text}" for n, (title, text) in enumerate(KOREANS, 1))
    llmock.script(says(FIVE), says(numbered))
    result = run(context())
    assert not result.partial
    assert {KOREAN[0], KOREANS[4][0]} < set(Idea.objects.values_list("title", flat=True))
    assert len(result.data["ideasGenerated"]) == 10
    assert llmock.statuses() == [200, 200]
    # llmock counts them by its own rule: that they are there, and are taken over, is what is said.
    assert all(one.prompt_tokens and one.completion_tokens for one in GeneratedBatch.objects.all())


KOREANS = [
    ("동네 우산", "비가 오면 지하철역에서 우산을 빌려주고 다음 역에서 돌려받는다."),
    ("새벽 빵집", "새벽에 구운 빵을 첫차를 타는 사람에게 미리 주문받아 건넨다."),
    ("낡은 지도", "사라진 골목의 옛 사진을 모아 걸으며 볼 수 있게 한다."),
    ("반찬 나눔", "혼자 사는 이웃끼리 남는 반찬을 냉장고 하나에 모아 나눈다."),
    ("소리 편지", "글을 읽기 힘든 어른에게 손주의 목소리로 편지를 배달한다."),
]


def test_what_passes_is_tried_again_until_it_has_passed(llmock, shelves, context, clock):
    shelves(2)
    limited = {"type": "fail", "status": 429, "retry_after": 7}
    broken = {"type": "fail", "status": 500, "times": 2}
    llmock.script(limited, broken, says(FIVE), says(FIVE.replace("a", "o")))
    before = clock.monotonic()
    result = run(context())
    assert not result.partial
    assert llmock.statuses() == [429, 500, 500, 200, 200]
    assert clock.monotonic() - before >= 7


def test_a_wait_beyond_the_run_is_kept_as_the_provider_s_pause(llmock, shelves, context):
    shelves(1)
    llmock.script({"type": "fail", "status": 429, "retry_after": 3600})
    with pytest.raises(module.GenerationError, match="asks not to be called before"):
        run(context())
    assert ProviderPause.objects.count() == 1
    assert llmock.statuses() == [429]


def test_an_api_that_stays_down_ends_the_run_in_an_error(llmock, shelves, context):
    shelves(1)
    llmock.script({"type": "fail", "status": 500, "times": None})
    with pytest.raises(module.GenerationError, match="could not be reached: HTTP 500"):
        run(context())
    assert not Idea.objects.exists()


def test_a_slow_answer_is_waited_for_only_as_long_as_the_run_has_time(llmock, shelves):
    shelves(2)
    llmock.script({"type": "delay", "seconds": 0.2}, says(FIVE, times=2))
    assert len(run(JobContext("job", max_duration=30)).data["ideasGenerated"]) == 10
    llmock.script({"type": "delay", "seconds": 60, "times": None})
    with pytest.raises(module.GenerationError, match="2 errors"):
        run(JobContext("job", max_duration=1))
    assert Idea.objects.count() == 10


@pytest.mark.parametrize(
    ("behavior", "kept"),
    [
        (says(FIVE[: len(FIVE) * 2 // 3], finish_reason="length"), (3, 4)),
        (says('\x00\ufffd{{"ideas": [[[ nothing of the kind ]'), (0, 0)),
        (says("Here you are:\n```json\n" + FIVE + "\n```\nGood luck!"), (5, 5)),
        (says(FIVE.replace('"description"', '"text"', 2)), (3, 3)),
    ],
    ids=["truncated", "garbled", "wrapped", "half of it good"],
)
def test_of_a_broken_answer_the_whole_ideas_are_kept(llmock, shelves, context, behavior, kept):
    shelves(1)
    # The second time it is asked, for what was missing, it says the same.
    llmock.script({**behavior, "times": None})
    try:
        run(context())
    except module.GenerationError:
        assert kept[0] == 0
    fewest, most = kept
    assert fewest <= Idea.objects.count() <= most
    written = {(one.title, one.description) for one in Idea.objects.all()}
    assert written <= {ROBOT, LAMP, SHIP, BOOK, KOREAN}

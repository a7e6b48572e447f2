"""kill -9 of the runner or the web process at random moments of a load of runs."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from cronbell.clock import SYSTEM_CLOCK
from tests.faults.application.load import EFFECT_JOBS
from tests.faults.audit import Finals, judge
from tests.faults.report import Finding, upper_bound
from tests.faults.settings import Settings
from tests.faults.world import World, after_a_while, job, pause, until
from tests.support import processes

RAW_JOBS = 4
LONGEST_ANSWER = 0.4  # seconds
# Kills in a row keep the web process from coming up; a run must not use up its attempts meanwhile,
# or it ends by them, as it should. These last for two minutes and a half.
RETRY = "{ max_attempts = 100, backoff = 0.2, max_backoff = 2 }"
DELIVERIES = ("at_least_once", "at_most_once")
LOOK_EVERY = 10  # kills between two looks at what is over


def load(delivery: str, base: str) -> str:
    """Return the jobs: half call a target that logs, half an endpoint written with the library."""
    keys = {
        "timeout": "20s", "deadline": "900s", "overlap": "allow", "delivery": delivery,
        "retry": RETRY,
    }  # fmt: skip
    name = "once" if delivery == "at_most_once" else "again"
    return "".join(
        # Those that fire every two seconds are recorded before they are due.
        job(f"{name}-{kind}-{n}-{n % 2 + 1}s", f"{where}-{n}", every=f"{n % 2 + 1}s", **keys)
        for kind, where, count in (
            ("raw", "/api/cron/raw", RAW_JOBS),
            ("effect", f"{base}/api/cron/effect", EFFECT_JOBS),
        )
        for n in range(count)
    )


class Load:
    """A world whose runner and web process are killed and started again."""

    def __init__(self, world: World, delivery: str, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        for number in range(RAW_JOBS):
            answer = after_a_while(random.Random(rng.random()), LONGEST_ANSWER)
            world.target.script(f"/api/cron/raw-{number}", answer)
        world.jobs(load(delivery, f"http://127.0.0.1:{world.web_port}"))
        self.web = world.web()
        assert until(world.web_is_up, 60, "the web process"), self.web.output()
        self.engine = world.engine()
        self.kills = {"runner": 0, "web": 0, "web worker": 0}

    def kill_one(self) -> None:
        """Wait for a random moment, kill, start again."""
        self.world.ready(self.engine)
        self._keep_web()
        if self.rng.random() < 0.5:
            # Where most of a fire happens: recorded, sent, answered.
            into = SYSTEM_CLOCK.now().microsecond / 1e6
            pause(max(0.0, 1 - into + self.rng.uniform(-0.01, 0.12)))
        else:
            pause(self.rng.uniform(0, 1))
        if self.rng.random() < 0.75:
            self.kills["runner"] += 1
            self.world.kill(self.engine)
            self.engine = self.world.engine()
        elif self.rng.random() < 0.5:
            self.kills["web"] += 1
            self.world.kill(self.web)
            self.web = self.world.web()
        else:
            self._kill_worker()

    def _kill_worker(self) -> None:
        # The web process starts another by itself.
        for pid in processes.below(self.web.pid)[-1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # a helper of the start's that was just over
                self._kill_worker()
            else:
                self.kills["web worker"] += 1

    def _keep_web(self) -> None:
        """Stand in for the supervisor: a web process whose worker dies twice in 5 s gives up."""
        if not self.web.running:
            self.web = self.world.web()

    def settle(self) -> int:
        """Let everything end; return how many runs did not."""
        self.world.ready(self.engine)
        return self.world.settle(120, meanwhile=self._keep_web)


def experiment(
    store: str, delivery: str, kills: int, rng: random.Random, *, sabotage: str = ""
) -> Finding:
    """Kill so many times; count what the promises are about."""
    found = Finding(f"random kill -9, {store}, {delivery}", f"{kills} kills")
    env = {"CRONBELL_FAULTS_SABOTAGE": sabotage} if sabotage else {}
    with World(store, env=env) as world:
        going = Load(world, delivery, rng)
        finals = Finals(world)
        for number in range(kills):
            going.kill_one()
            if number % LOOK_EVERY == 0:
                finals.look()
        stuck = going.settle()
        finals.look()
        judge(found, world, stuck=stuck)
        found.promise("changed after the end", finals.changed)
    words = ", ".join(f"{count} {name}" for name, count in going.kills.items())
    found.trials = f"{sum(going.kills.values())} kills ({words})"
    found.figures["each nought"] = upper_bound(sum(going.kills.values())) + " a kill"
    return found


def run(settings: Settings) -> Iterator[Finding]:
    """Do every store and delivery at once: a kill is waiting more than work."""
    rng = random.Random(settings.seed)
    plans = [(store, delivery) for store in settings.stores for delivery in DELIVERIES]
    for store in settings.stores:
        with World(store):  # makes what the others are copies of
            pass
    with ThreadPoolExecutor(len(plans)) as pool:
        going = [
            pool.submit(experiment, *plan, settings.kills, random.Random(rng.random()))
            for plan in plans
        ]
        for one in going:
            yield one.result()

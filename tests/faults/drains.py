"""kill -9 of draining processes at random moments: of any drain, and of the verification's.

The programs are ``tests/drain/kills.py`` and ``tests/ideasgpt/verification/kills.py``, which the
tests run with a few kills; here they are run with many, each on both stores. Each looks at every
record at the end: that it is done, set aside or decided as it must be, held by nobody, with one
effect and under one key.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.faults.report import Finding, upper_bound
from tests.faults.settings import Settings
from tests.faults.world import World, the_server

PROGRAMS = {
    "a drain": "tests.drain.kills",
    "verify-records": "tests.ideasgpt.verification.kills",
}
NEVER = "records lost, stuck or with two effects"
SECONDS_A_KILL = 10.0  # on a machine that does other work
SECONDS_BESIDE = 300.0  # to begin, and to work off what is left
SABOTAGED_KILLS = 3  # each waits for a record to be in the middle


def experiment(name: str, store: str, kills: int, seed: int, *, sabotage: bool = False) -> Finding:
    """Run one of the programs; what it finds wrong is a broken promise."""
    found = Finding(f"{name} killed at random moments, {store}", f"{kills} kills")
    words = ["-m", PROGRAMS[name], "--kills", str(kills), "--seed", str(seed)]
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(World("sqlite"))  # its processes, if not its databases
        if store == "postgresql":
            words += ["--store", stack.enter_context(the_server().database())]
        child = world.start(*words, *(["--sabotage"] if sabotage else []))
        code = child.popen.wait(SECONDS_A_KILL * kills + SECONDS_BESIDE)
        said = child.output().strip().splitlines()
    if code:
        found.require(said[-1] if said else f"the program ended with {code}", holds=False)
        return found
    told = json.loads(said[-1])
    found.trials = f"{kills} times, {told['kills']} processes killed at work"
    found.promise(NEVER, 0)  # the program ends otherwise at the first
    found.figures |= {word: count for word, count in told.items() if word != "kills"}
    found.figures["each nought"] = upper_bound(told["kills"]) + " a kill"
    return found


def noticed(name: str, store: str, seed: int) -> Finding:
    """Take a safeguard away: a key of its own for each try, or nobody to give back what is held."""
    found = Finding(f"sabotage: {name} killed at random moments, {store}", "must be noticed")
    seen = experiment(name, store, SABOTAGED_KILLS, seed, sabotage=True)
    found.figures["as"] = "; ".join(seen.broken)
    # Anything else that goes wrong is no notice taken.
    found.require("the sabotage went unnoticed", holds="AssertionError" in found.figures["as"])
    return found


def run(settings: Settings) -> Iterator[Finding]:
    """Do both programs on every store, two at once: a kill is waiting more than work."""
    rng = random.Random(settings.seed)
    with World("sqlite"):  # makes what the others are copies of
        pass
    pairs = [(name, store) for name in PROGRAMS for store in settings.stores]
    if "postgresql" in settings.stores:
        the_server()
    with ThreadPoolExecutor(2) as pool:
        going = [
            pool.submit(experiment, *pair, settings.kills, rng.randrange(10**6)) for pair in pairs
        ]
        going += [pool.submit(noticed, *pair, rng.randrange(10**6)) for pair in pairs]
        for one in going:
            yield one.result()

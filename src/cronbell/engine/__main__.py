"""The runner process of ``cronbell up``: ``python -m cronbell.engine``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings

from cronbell.clock import SYSTEM_CLOCK
from cronbell.config.loader import Config
from cronbell.config.rotation import SecretSource
from cronbell.dispatch import Dispatcher, PyreqwestTransport
from cronbell.engine.memory import set_aside
from cronbell.engine.watch import Watcher
from cronbell.errors import ConfigError, SecretError, StartError, describe
from cronbell.logs import catch_uncaught
from cronbell.process_end import end
from cronbell.server.lifeline import SUPERVISED, end_with_parent
from cronbell.tracing import of_this_process

if TYPE_CHECKING:
    from cronbell.engine.secret import SecretFollower

log = logging.getLogger("cronbell.engine")


def main() -> int:
    """Read the supervisor's arguments, run until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="cronbell engine")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--toml", type=Path)
    parser.add_argument("--target", default=None)
    parser.add_argument("--grace", type=float, default=30.0)
    parser.add_argument("--lease", type=float, default=15.0)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cronbell.server.settings")
    if os.environ.get(SUPERVISED):
        end_with_parent()
    watcher = Watcher(arguments.config, arguments.toml, target=arguments.target)
    try:
        config = watcher.read()
        django.setup()
        catch_uncaught()
        _run(_serve(config, watcher, grace=arguments.grace, lease=arguments.lease))
    except (ConfigError, SecretError, StartError) as error:
        sys.stderr.write(describe(error))
        return 1
    return 0


def _run(main_task: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - not on every platform

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main_task)
        return
    asyncio.run(main_task)


async def _serve(config: Config, watcher: Watcher, *, grace: float, lease: float) -> None:
    from cronbell.engine.loop import Runner, RunnerSettings  # noqa: PLC0415 - after django.setup()
    from cronbell.engine.secret import SecretFollower  # noqa: PLC0415

    tracing = of_this_process("cronbell-runner")
    source = SecretSource(os.environ)
    used = source.look()
    transport = PyreqwestTransport()

    def dispatcher_for(changed: Config) -> Dispatcher:
        accepted = source.look().accepted
        return Dispatcher(
            transport,
            secret=accepted[0] if accepted else None,
            allowed_hosts=changed.allowed_hosts,
            target=changed.target,
        )

    runner = Runner(
        config.jobs,
        dispatcher_for(config),
        clock=SYSTEM_CLOCK,
        settings=RunnerSettings(
            concurrency=config.concurrency,
            grace_seconds=grace,
            lease_seconds=lease,
            retention=config.retention,
            alerts=config.alerts,
        ),
        directory=Path(settings.CRONBELL_DATA_DIR),
        target=config.target,
        watcher=watcher,
        dispatcher_for=dispatcher_for,
        loaded=set_aside,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.is_set():
            # Told twice: end at once. Leases run out and the runs are rescued.
            os._exit(130)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    runner.executor.tracing = tracing
    follower = SecretFollower(
        source, used, lambda: runner.executor.dispatcher, runner.writer, SYSTEM_CLOCK
    )
    following = asyncio.create_task(_follow(follower, runner.ready))
    try:
        await runner.run(stop)
    finally:
        following.cancel()
        await transport.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.provider.shutdown)


async def _follow(follower: SecretFollower, ready: asyncio.Event) -> None:
    await ready.wait()
    try:
        await follower.follow_forever()
    except Exception:
        # A runner that sends a secret of yesterday would have every call refused: it starts anew.
        log.critical("the secret cannot be followed; the runner ends", exc_info=True)
        os._exit(70)


if __name__ == "__main__":
    end(main())

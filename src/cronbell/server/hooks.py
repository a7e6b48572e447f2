"""Where an application adds to the first start: sample data, an initial category, a check."""

from __future__ import annotations

from collections.abc import Callable

_callbacks: list[Callable[[], None]] = []


def on_prepared(callback: Callable[[], None]) -> Callable[[], None]:
    """Have ``callback`` called each time the databases are ready, before anything serves.

    It runs in one process, under the start-up lock, on every start: it must do nothing where
    there is nothing to do. Register it in ``AppConfig.ready``. Usable as a decorator.
    """
    if callback not in _callbacks:
        _callbacks.append(callback)
    return callback


def run_prepared() -> None:
    """Call what was registered, in order."""
    for callback in _callbacks:
        callback()

"""For tests, ours and yours: a clock that stands still and a target that does as it is told.

* ``FakeClock``: time moves only when the test says so, or by itself from one wait to the next.
* ``ShiftedClock``: the machine's clock, showing another time, for tests of whole processes.
* ``ScriptedTarget``: a real HTTP server on loopback that answers by script, well or badly, and
  remembers every request.
* ``answers``: what it can be told to answer, from ``ok()`` to ``gzip_bomb()``.

``pytest_plugins = ["cronbell.testing.fixtures"]`` gives the fixtures ``fake_clock`` and
``scripted_target``. Nothing here needs Django.
"""

from cronbell.testing.answers import Answer
from cronbell.testing.clock import FakeClock
from cronbell.testing.shifted import ShiftedClock
from cronbell.testing.target import ScriptedTarget
from cronbell.testing.wire import ReceivedRequest

__all__ = ["Answer", "FakeClock", "ReceivedRequest", "ScriptedTarget", "ShiftedClock"]

"""What a test can't show in a second: hundreds of kills, real restarts, a full disk, a month.

``make faults`` runs every experiment in a short version and ends with 1 where a promise is broken
or a sabotage goes unnoticed; ``make faults ARGS=--full`` is the long one, whose figures are in
``docs/reliability.md``. One module an experiment; what they share is in ``world``, ``audit`` and
``report``.
"""

"""Backlog ─► items: a job that works through an application's waiting records, in safe batches.

A Django app. The application's model takes ``DrainState`` in; a ``Drain`` is run by a job.

    models.py    ``DrainState``, the columns a record needs; counters that outlive a run
    settings.py  environment ─► ``BatchSize``
    claim.py     backlog ─► records held under a lease; fencing; the backlog's numbers
    budget.py    caps per run and per day
    pace.py      how fast one target may be called, and when it asked to be left alone
    target.py    record ─► HTTP ─► ``Reply``; which failures are the record's own
    callers.py   the threads that make the calls
    drain.py     the walk through them: claim, call, settle
    turn.py      what one transaction of the walk deals with
    registry.py  job ─► its drain
    ledger.py    how a drain stands, what was set aside, having it tried again
"""

"""The pages under ``/admin/`` and the JSON API under ``/api/admin/``.

It takes rows of the run log (``cronbell.runlog.queries``) and gives pages and JSON; the one thing
it asks for is a run now (``cronbell.runlog.requests``). ``access`` decides who may, for pages, API
and stock admin alike; ``parameters`` reads the query strings both understand.
"""

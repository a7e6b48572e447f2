"""First hop: ``vercel.json`` and ``cronbell.toml`` go in, ``JobSpec`` records come out.

    vercel_json.py   vercel.json ─► cron entries   (shape rules and messages are Vercel's)
    toml.py          cronbell.toml ─► settings
    names.py         path and schedule ─► job name
    loader.py        both ─► Config, or every fault of both
    variables.py     environment ─► a warning for each of our variables that does nothing

No Django and no clock; reading the two files is the only I/O.
"""

"""The command line: one file a command, registered in ``main``.

Exit codes: 0 fine, 1 the thing checked is not fine, 2 wrong usage. Commands that print facts take
``--json``.
"""

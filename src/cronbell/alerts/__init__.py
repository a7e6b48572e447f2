"""Run log ─► messages to people: what is wrong, told once, until it is right again.

``judge`` opens and closes incidents, ``outbox`` turns them into messages and keeps those until
they are sent, ``send`` sends them. Whoever is alive may do each of the three at any time: a runner,
the web process, ``cronbell alerts check``.
"""

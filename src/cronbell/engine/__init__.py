"""The engine: takes job definitions and the time, gives recorded runs.

``planner`` turns due fires into rows, ``pool`` claims rows and executes them through
``executors``, ``settle`` writes what became of them, ``writer`` is the one thread that touches the
database, ``keeper`` renews leases and rescues what a dead runner left, and ``loop`` starts and
stops them all. Exactly one run per fire is the run log's doing (a unique row and a cursor that
moves in the same transaction), never a matter of which runner leads.
"""

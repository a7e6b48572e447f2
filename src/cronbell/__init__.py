"""Cronbell rings an application's cron endpoints on time, once, and keeps the record.

The way data flows is the way the folders read: ``config`` → ``schedule`` → ``engine`` →
``dispatch`` → HTTP → ``endpoint``, with ``runlog`` the only place that reads or writes runs.
"""

__version__ = "0.1.0"

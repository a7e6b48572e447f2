"""The run log: the only place that reads or writes jobs' runs.

It takes fires and outcomes and gives rows. Hot statements are SQL in ``sql/`` (one file each,
run through ``statements``); pages and API read through ``queries``; endpoints that record their
own calls go through ``recorder``. It lives in the database alias ``runlog``.
"""

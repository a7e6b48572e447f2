"""Record with documents ─► verdict: checked by rules, by a model, and where in doubt by a person.

documents.py   file ─► text, in a limited child process (``child.py``)
suspicion.py   text ─► signs that it talks to the model, or hides something
checks.py      claim, text ─► whether the text says so
verdict.py     question to the model, and its answer held to the documents
verifier.py    all of these ─► one decision
sweep.py       files that no record knows ─► removed
standing.py    the only place that changes a record's status
"""

"""A Django app of the tests alone: its ``flush`` empties the tables between tests sooner."""

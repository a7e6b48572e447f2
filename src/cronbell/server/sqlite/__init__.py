"""Django's SQLite backend with one thing changed: how a write transaction waits its turn."""

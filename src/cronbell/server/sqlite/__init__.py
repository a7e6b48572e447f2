"""Django's SQLite backend with one thing changed: how a write waits its turn."""

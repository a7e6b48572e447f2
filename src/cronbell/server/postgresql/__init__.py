"""Django's backend for PostgreSQL, which asks a connection that it lives only where it may not."""

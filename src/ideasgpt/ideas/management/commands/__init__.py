"""The service's own management commands."""

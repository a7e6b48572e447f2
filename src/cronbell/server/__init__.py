"""Django's settings and URLs, the WSGI entry point, and the supervisor behind ``cronbell up``."""

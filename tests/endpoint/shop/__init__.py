"""A small Django application with cron jobs, served by real processes in these tests."""

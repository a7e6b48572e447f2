"""A small Django application whose letters are drained."""

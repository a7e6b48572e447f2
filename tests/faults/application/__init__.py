"""The application under fire: endpoints whose every effect can be counted from outside."""

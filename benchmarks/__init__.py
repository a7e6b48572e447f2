"""One script per promise; each prints a ratio against the limit measured in the same run."""

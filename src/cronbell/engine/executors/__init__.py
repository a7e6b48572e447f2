"""Ways to execute a claimed run. ``embedded`` does it in the runner's own process."""

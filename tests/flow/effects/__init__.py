"""A tiny application whose one job has an effect that can be counted from outside."""

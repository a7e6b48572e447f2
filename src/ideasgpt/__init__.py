"""IdeasGPT: an ideas service whose scheduled jobs run on Cronbell."""

"""The verification's scheduled jobs; importing this package publishes them."""

"""The service's scheduled jobs; importing this package publishes them."""

from ideasgpt.ideas.jobs import clean_data, generate_ideas, update_rankings

__all__ = ["clean_data", "generate_ideas", "update_rankings"]

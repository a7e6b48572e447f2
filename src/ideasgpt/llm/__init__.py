"""A question ─► a reply ─► what it says: language models, whatever they answer. Knows no Django."""

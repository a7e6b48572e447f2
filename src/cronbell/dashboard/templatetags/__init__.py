"""What templates say in one word: badges, instants, lengths of time."""

"""Documents of a month: statements and superbills for all clients of a practice at once."""

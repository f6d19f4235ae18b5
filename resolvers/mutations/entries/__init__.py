"""The mutations by which the practice's programs enter data."""

"""What a real browser shows of the pages we serve."""

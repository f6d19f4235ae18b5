"""The execution of a request: from its text to its answer."""

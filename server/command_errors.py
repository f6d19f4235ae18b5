"""Base class of the errors that end a command with a sentence."""


class CommandError(Exception):
    """A reason why a command can't be done; the text is for the operator."""

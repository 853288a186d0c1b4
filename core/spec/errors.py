"""The one exception a person is meant to read."""


class Error(ValueError):
    """Something asked for cannot be done; the message is a sentence that says what to do."""


class Cancelled(Exception):
    """The work was overtaken or stopped by the person who asked for it. Not a fault."""

"""The error that ends a command."""


class CommandFailed(Exception):
    """A command can't finish. The message is one sentence that names the cause and the remedy."""

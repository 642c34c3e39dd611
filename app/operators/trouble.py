"""What ends an operator's command, said to the person who gave it."""


class Trouble(Exception):
    """Something outside keeps the command from its end; the message says in one sentence what, and what to do."""

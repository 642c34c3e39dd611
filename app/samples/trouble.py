"""What ends a sample program, said to the person who started it."""


class Trouble(Exception):
    """Something outside keeps the program from going on; the message says in one sentence what, and what to do."""

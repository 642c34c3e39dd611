"""Why the engine stops.

Stopped
├── Refused       it won't start so: a person must change something, and the message says what, in one sentence
└── Ended         this process can't go on, another life of it can: what it had not committed is read again
"""


class Stopped(Exception):
    """The engine stopped by itself."""


class Refused(Stopped):
    """Going on like this could lose or repeat decisions; the message says what to change."""


class Ended(Stopped):
    """This process must end; starting it again is safe, and enough unless the message says more."""

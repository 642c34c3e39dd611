"""A script that becomes another program, which the Linux kernel kills when its parent dies; it imports nothing of ours.

A script and not a `preexec_fn`, because the fork of a process with threads must not run Python.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Replaces this process by `command`, to be killed with the process id `parent`, which must be its parent's."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before prctl took effect
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

"""Becomes another program that the kernel (Linux) kills when its parent dies; a script that imports nothing of ours.

A program between ours and the other, and no `preexec_fn`: the fork of a process with threads must run no Python.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Replaces this process by `command`, tied to the process id `parent`, which must be the one that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the tie was made
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - there is no shell in between


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

"""Runs a pod in which no timer is ever due: what the product would cost without timers. For measurements only."""

from unittest.mock import patch

from topologies.__main__ import main

if __name__ == "__main__":
    with patch("app.engine.state.index.due_ms", lambda _: None):
        main()

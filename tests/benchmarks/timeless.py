"""A pod that never looks at the time: what the product would be if nothing were ever due. For measuring only."""

from unittest.mock import patch

from topologies.__main__ import main

if __name__ == "__main__":
    with patch("app.engine.index.due_ms", lambda _: None):
        main()

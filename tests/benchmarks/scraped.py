"""Runs a pod that asks itself for its metrics once a second, 15 times as often as a Prometheus does, and pays for it.

For measurements only.
"""

import time
from threading import Thread
from unittest.mock import patch
from urllib.request import urlopen

from app.devkafka.ports import free_ports
from topologies.__main__ import main


def _scrape(port: int) -> None:
    while True:
        time.sleep(1)
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
            response.read()


if __name__ == "__main__":
    (port,) = free_ports(1)
    Thread(target=_scrape, args=(port,), daemon=True).start()
    with patch.dict("os.environ", SAGA_METRICS_PORT=str(port), SAGA_METRICS_HOST="127.0.0.1"):
        main()

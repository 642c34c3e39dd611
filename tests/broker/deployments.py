"""The `saga` command of three deployments: a saga's first version, both versions, and the second version only."""

from app.cli import command
from app.saga.definition import DAY_MS, Saga
from app.saga.versions import Versions
from topologies.orchestrate import orchestrate
from topologies.order import ORDER, PAYMENT, RESERVATION
from topologies.shipped_order import SHIPPING

SECOND = Saga("order", version=2, steps=(RESERVATION, PAYMENT, SHIPPING), deadline_ms=DAY_MS)
DEPLOYMENTS = {"old": Versions((ORDER,)), "both": Versions((ORDER, SECOND)), "new": Versions((SECOND,))}

if __name__ == "__main__":
    command(DEPLOYMENTS, orchestrate)()

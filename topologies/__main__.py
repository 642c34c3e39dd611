"""The entry point of the `saga` command: the sagas to choose from, and their stream graph."""

from app.cli import command
from app.ops.logs import redact_exceptions
from app.saga.versions import Versions
from topologies.orchestrate import orchestrate
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

SAGAS = {"order": Versions((ORDER,)), "shipped-order": Versions((SHIPPED_ORDER,))}


def main() -> None:
    """The `saga` command."""
    with redact_exceptions():
        command(SAGAS, orchestrate)()


if __name__ == "__main__":
    main()

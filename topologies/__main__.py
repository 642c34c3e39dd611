"""Names the sagas that can be run, and hands them with their topology to the `saga` command."""

from app.cli import command
from app.ops.logs import wordless
from app.saga.versions import Versions
from topologies.orchestrate import orchestrate
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

SAGAS = {"order": Versions((ORDER,)), "shipped-order": Versions((SHIPPED_ORDER,))}


def main() -> None:
    """The `saga` command."""
    with wordless():
        command(SAGAS, orchestrate)()


if __name__ == "__main__":
    main()

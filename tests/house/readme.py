"""The parts of README.md that are made from the code. `python -m tests.house.readme` writes them anew."""

import re
from pathlib import Path

from app.ops.settings import Settings
from app.saga import picture
from app.wire.picture import flow
from app.wire.topics import Topics
from topologies.order import ORDER

README = Path(__file__).parents[2] / "README.md"
_SAID = {"instance_id": "the host's name", "kafka_ca": "the system's"}
_NONE = "kafka_"  # settings that start so have nothing by default, others what the saga says


def made() -> dict[str, str]:
    """Each part by its name."""
    return {
        "flow": f"```mermaid\n{flow(Topics(ORDER))}\n```\n",
        "states": picture.document(ORDER),
        "settings": _settings(),
    }


def renewed(text: str) -> str:
    """The same README with all made parts as they must be. Raises ValueError when one has no place in it."""
    for name, part in made().items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        found = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if len(found.findall(text)) != 1:
            raise ValueError(f"README.md must have {begin.strip()} and {end} once")
        text = found.sub((begin + part + end).replace("\\", r"\\"), text)
    return text


def _settings() -> str:
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _SAID.get(name) or f"`{field.default}`"
        nothing = "none" if name.startswith(_NONE) else "the saga's own"
        shown = {"``": "empty", "`None`": nothing}.get(default, default)
        rows.append(f"| `SAGA_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))

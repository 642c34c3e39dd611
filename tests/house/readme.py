"""The generated parts of README.md; `python -m tests.house.readme` renews them."""

import re
from pathlib import Path

from app.ops.settings import Settings
from app.saga import state_diagram
from app.saga_metrics import METRICS
from app.wire.flow_diagram import flow
from app.wire.topics import Topics
from topologies.order import ORDER

README = Path(__file__).parents[2] / "README.md"
_DEFAULTS = {"instance_id": "the host's name", "kafka_ca": "the system's"}
_WITHOUT_DEFAULT = "kafka_"  # prefix of settings whose None means none; the others' None means the saga's own value


def generated() -> dict[str, str]:
    """The text of each part, by its name."""
    return {
        "flow": f"```mermaid\n{flow(Topics(ORDER))}\n```\n",
        "states": state_diagram.document(ORDER),
        "settings": _settings(),
        "metrics": _metrics(),
    }


def renewed(text: str) -> str:
    """The text with all generated parts up to date. Raises ValueError unless each part's markers occur once."""
    for name, part in generated().items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        found = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if len(found.findall(text)) != 1:
            raise ValueError(f"README.md must have {begin.strip()} and {end} once")
        text = found.sub((begin + part + end).replace("\\", r"\\"), text)
    return text


def _metrics() -> str:
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name, metric in METRICS.items():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(rows) + "\n"


def _settings() -> str:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _DEFAULTS.get(name) or f"`{field.default}`"
        none = "none" if name.startswith(_WITHOUT_DEFAULT) else "the saga's own"
        shown = {"``": "empty", "`None`": none}.get(default, default)
        rows.append(f"| `SAGA_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))

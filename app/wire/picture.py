"""The flow of records between topics, their writers and readers, as a Mermaid diagram drawn from the table."""

from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, OUTCOMES, REQUESTS, STATE, Topics


def flow(topics: Topics) -> str:
    """The diagram: what flows, and what commits together in one transaction."""
    lines = ["flowchart LR", "    shop([shops, gateways])", "    person([operators])"]
    lines += [f"    {step.name}([{step.name} service])" for step in topics.saga.steps]
    lines += ["    subgraph pod [pod of the orchestrator: one transaction a batch]", "        decide{{decide}}"]
    lines += ["        store[(state)]", "        decide <--> store", "    end"]
    lines += [_edge("shop", REQUESTS.name, "decide"), _edge("person", OPERATIONS.name, "decide")]
    for step in topics.saga.steps:
        lines.append(_edge("decide", step.commands_topic, step.name))
        lines.append(_edge(step.name, step.replies_topic, "decide"))
    lines += [
        _edge("decide", OUTCOMES.name, "shop"),
        _edge("decide", EVENTS.name, "readers([read side, auditors])"),
        _edge("decide", DEAD_LETTERS.name, "person"),
        f"    store -- {STATE.name} --> changelog[(compacted)]",
    ]
    return "\n".join(lines)


def _edge(writer: str, topic: str, reader: str) -> str:
    return f"    {writer} -- {topic} --> {reader}"

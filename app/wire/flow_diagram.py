"""The flow of records between topics, their writers and readers, as a Mermaid diagram generated from the topics."""

from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, OUTCOMES, REQUESTS, STATE, Topics


def flow(topics: Topics) -> str:
    """The diagram: all five kinds of input, all outputs, and the pod, which commits them in one transaction."""
    lines = ["flowchart LR", "    shop([shops, gateways])", "    operator([operators])"]
    lines += [f"    {step.name}([{step.name} service])" for step in topics.saga.steps]
    lines += ["    subgraph pod [orchestrator pod: one transaction per batch]", "        decide{{decide}}"]
    lines += ["        store[(state)]", "        decide <--> store"]
    lines += ["        timers((due timers)) --> decide", "        capacity((free capacity)) --> decide", "    end"]
    lines += [_edge("shop", REQUESTS.name, "decide"), _edge("operator", OPERATIONS.name, "decide")]
    for step in topics.saga.steps:
        lines.append(_edge("decide", step.commands_topic, step.name))
        lines.append(_edge(step.name, step.replies_topic, "decide"))
    lines += [
        _edge("decide", OUTCOMES.name, "shop"),
        _edge("decide", EVENTS.name, "readers([read side, auditors])"),
        _edge("decide", DEAD_LETTERS.name, "operator"),
        f"    store -- {STATE.name} --> changelog[(compacted)]",
    ]
    return "\n".join(lines)


def _edge(writer: str, topic: str, reader: str) -> str:
    return f"    {writer} -- {topic} --> {reader}"

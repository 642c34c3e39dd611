"""A saga's state as the JSON document of the changelog: small, readable, and the same bytes for the same state."""

from dataclasses import fields
from typing import Any

import orjson

from app.saga.state import STATES, Facts, NotStarted, Progress, Why

_NAMES: dict[type[Any], str] = {
    state: "".join("_" + letter.lower() if letter.isupper() else letter for letter in state.__name__).lstrip("_")
    for state in STATES
    if state is not NotStarted
}
KINDS: dict[str, Any] = {name: state for state, name in _NAMES.items()}
_OWN = {state: tuple(f.name for f in fields(state) if f.name not in ("facts", "why")) for state in _NAMES}
STATE_NAMES = tuple(KINDS)


def state_name(state: object) -> str:
    """How a state is called in documents: running, pausing, compensating, ..."""
    return _NAMES.get(type(state), "not_started")


def encode(progress: Progress) -> bytes:
    """The document of a saga that has started."""
    state: Any = progress.state
    kind = type(state)
    facts = state.facts
    document = {"state": _NAMES[kind], "seq": progress.seq, "version": facts.version, "digest": facts.digest}
    if facts.order:
        document["order"] = facts.order
    if facts.results:
        document["results"] = facts.results
    for name in _OWN[kind]:
        document[name] = getattr(state, name)
    why = getattr(state, "why", None)
    if why is not None:
        document["why"] = {"reason": why.reason, "step": why.step, "requested": why.requested}
    return orjson.dumps(document)


def decode(value: bytes) -> Progress:
    """The saga of a document. Raises ValueError when it is none of ours."""
    try:
        document = orjson.loads(value)
        kind = KINDS[document["state"]]
        given = {name: document[name] for name in _OWN[kind]}
        given["facts"] = Facts(
            document["version"], document["digest"], document.get("order", {}), document.get("results", {})
        )
        if "why" in document:
            given["why"] = Why(**document["why"])
        return Progress(document["seq"], kind(**given))
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise ValueError(f"not a saga's state: {type(error).__name__}") from error

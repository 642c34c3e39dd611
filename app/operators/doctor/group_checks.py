"""The orchestrator's consumer group: its state, its members, and members that are no pods of ours."""

from collections.abc import Collection, Iterable, Iterator

from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import ConsumerGroupDescription, MemberDescription

from app.operators.doctor.cluster_checks import some
from app.operators.doctor.finding import Finding, error, ok, warning
from app.wire.terminal_text import printable
from app.wire.topics import TopicPartitionKey

_EMPTY = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)


def group_findings(group: ConsumerGroupDescription, inputs: Collection[TopicPartitionKey]) -> Iterator[Finding]:
    """The state of the group, each stranger in it, and input partitions that no pod owns."""
    name = printable(group.group_id)
    if group.state in _EMPTY:
        remedy = "start a pod: `saga run`; one that runs and is not in the group hangs: see its /livez and its log"
        yield error("group", f"{name} has no member: no pod is at work", remedy, passes=True)
        return
    strangers = [member for member in group.members if _stranger(group.group_id, member, inputs)]
    pods = [member for member in group.members if member not in strangers]
    state = group.state.name.lower().replace("_", " ")
    fact = f"{name} is {state}, {len(pods)} pod{'s' * (len(pods) != 1)}: {'; '.join(map(_described, pods)) or 'none'}"
    if group.state != ConsumerGroupState.STABLE:
        yield warning("group", fact, "it should be stable within the session timeout: ask again")
    elif not pods:
        yield error("group", fact, "start a pod: `saga run`", passes=True)
    else:
        yield ok("group", fact)
    for member in strangers:
        yield _of_stranger(group.group_id, member, inputs)
    if group.state == ConsumerGroupState.STABLE and pods:
        yield from _unowned(group.members, inputs)


def _stranger(group: str, member: MemberDescription, inputs: Collection[TopicPartitionKey]) -> bool:
    """Pods call themselves `group.instance`, and read the inputs only."""
    return not member.client_id.startswith(f"{group}.") or not set(_assigned(member)) <= set(inputs)


def _of_stranger(group: str, member: MemberDescription, inputs: Collection[TopicPartitionKey]) -> Finding:
    taken = [f"{topic}[{number}]" for topic, number in _assigned(member) if (topic, number) in inputs]
    foreign = sorted({topic for topic, _ in _assigned(member)} - {topic for topic, _ in inputs})
    why = f", which reads {some(map(printable, foreign))}" if foreign else ""
    fact = f"a stranger is in the group: {_named(member)}{why}"
    if not member.client_id.startswith(f"{group}."):
        fact += "; pods call themselves " + printable(f"{group}.INSTANCE")
    if taken:
        fact += f"; no pod decides what is in {some(taken)}"
    remedy = "stop it, or give it another group (a saga of its own needs another prefix, or SAGA_GROUP)"
    if taken:
        after = "; then start the pods, and `saga audit check` tells whether it committed records that nobody decided"
        return error("group", fact, remedy + after)
    return warning("group", fact, remedy)


def _unowned(members: Iterable[MemberDescription], inputs: Collection[TopicPartitionKey]) -> Iterator[Finding]:
    owned = {key for member in members for key in _assigned(member)}
    free = [f"{topic}[{number}]" for topic, number in inputs if (topic, number) not in owned]
    if free:
        yield warning("group", f"nobody reads {some(free)}", "ask again; if it stays so, restart the pods")


def _described(member: MemberDescription) -> str:
    count = len(_assigned(member))
    return f"{_named(member)} with {count or 'no'} partition{'s' * (count != 1)}"


def _named(member: MemberDescription) -> str:
    return printable(f"{member.client_id} at {member.host.lstrip('/')}")


def _assigned(member: MemberDescription) -> list[TopicPartitionKey]:
    found = member.assignment.topic_partitions if member.assignment else []
    return [(each.topic, each.partition) for each in found]

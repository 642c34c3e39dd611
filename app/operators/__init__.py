"""Operators' commands: `saga retry`, `saga skip`, `saga compensate` and `saga stuck`.

- cli: the commands
- operate: writes one operation and waits for the orchestrator's decision on it
- answer: that decision, or its dead letter, as one sentence
- states, stuck, show: read `saga.state` to its end, keep the stuck steps, list them
- brokers: partition counts and end offsets of the topics, within a deadline
"""

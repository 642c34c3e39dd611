"""Operators' commands: what is wrong, how far behind, what is stuck or dead, and what to do about it.

- cli: the commands `saga retry`, `saga skip`, `saga compensate`, `saga stuck`; and those of the rooms below
- operate: writes one operation and waits for the orchestrator's decision on it
- answer: that decision, or its dead letter, as one sentence
- states, stuck, show: read `saga.state` to its end, keep the stuck steps, list them
- lag: `saga lag`
- dead_letters: `saga dead-letters`
- doctor: `saga doctor`
- brokers: questions to the brokers, within a deadline
- log_reader: reads partitions up to known ends
- options: options, exit codes and errors of all commands
"""

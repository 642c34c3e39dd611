"""Input: what a run left in Kafka, before any judgement. Reading order:

`recording`: the records, committed offsets and offset spans, as one value.
`from_kafka`: reads a recording from a cluster, without joining a group.
`group_offsets`: the committed offsets of the orchestrator's group.
`recording_file`: saves a recording to a file, and loads it.
`records`: a record as a message, a decision or a dead letter.
`timer_causes`: the timer that a decision names as its cause.
"""

"""Proves from the topics of a run that nothing was lost or done twice. Reading order:

`spec`: the topics, types, commands and replies of a saga, taken from its definition.
`invariants`: the numbered list of what must hold, and the form of a violation.
`recording/`: input; all topics as one value, read from Kafka or from a file.
`history/`: each saga's decisions, replayed event by event.
`evidence`: a recording, indexed by coordinates and split into saga histories.
`checks/`: the invariants that compare topics with each other.
`check`: runs all checks on one recording.
`report/`: totals, violations, and their text for a terminal.
`cli`: the command `saga audit check`.
"""

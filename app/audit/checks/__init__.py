"""Checks: invariants that compare topics with each other. Reading order:

`inputs`: each input record has one result, and each cause exists.
`dead_letters`: each dead letter equals its record, and gives a true reason.
`sent_records`: commands and outcomes match the events that announce them.
`traces`: commands and outcomes are in the trace of what led to them.
`placement`: keys, partitions, writers, transactions, and the changelog.
`state_fold`: the state bytes that a saga's events fold to.
`conservation`: money and goods of each order add up.
"""

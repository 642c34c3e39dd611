"""Report: the result of an audit. Reading order:

`totals`: counts of records, orders and sagas, and amounts per participant.
`report`: violations, notes and totals, as one value.
`report_text`: the report as a table or as plain lines.
"""

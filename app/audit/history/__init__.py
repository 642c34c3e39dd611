"""History: each saga's decisions, replayed and judged event by event. Reading order:

`histories`: the records of each saga; one history per life of an order id.
`replay`: applies a saga's decisions in order, and checks the cause of each.
`replayed_saga`: the state that the replay builds, and the violations found on the way.
`event_rules`: the effect of each event type, and its preconditions.
`rollback_rules`: when a saga may start to compensate.
`operator_rules`: cancels and operators' operations.
`event_content`: what an event must repeat from its message.
"""

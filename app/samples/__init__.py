"""The other side of the wire, for trying, demos and tests: a shop that sends orders, participants that answer commands.

- cli: `saga place`, `saga cancel`, `saga orders generate`, `saga serve`
- shop: realistic orders, order files, invalid records, and the client that sends them
- participant: the loop of a participant: commands, the ledger, injected faults, replies
- services: the reservation, payment, shipping and notice service
- kafka_clients: their consumer and producer
"""

"""A participant by the wire contract: one command in, one reply out, at most one effect.

- server: the loop: poll, process, reply, commit
- commands: a record as a command
- command_handler: a command to its reply, with the ledger and the injected faults
- contract_rules: the answer to a command, as a pure function
- ledger: answers and movements in SQLite
- fault_plan: the faults to inject, drawn from a seed
- reply_outbox: replies waiting for their delay
- answered_offsets: the offsets that may be committed
"""

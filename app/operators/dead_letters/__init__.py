"""`saga dead-letters`: lists dead letters, shows one, and replays those whose cause is gone.

- letter: a record of `saga.dead-letters`, parsed
- selection: filters, positions and times
- letter_reader: reads the selected ones
- replay_plan: which may be replayed, where to, and which were replayed already
- redrive: writes them, exactly once
- letter_output: lines for people, JSON for programs
- cli: the commands
"""

"""`saga doctor`: one screen that says what is wrong, and what to do.

- finding: one line of it, and the exit code
- examination: runs all checks at once, within one deadline
- local_checks: the settings and the state folder
- cluster_checks: brokers, replicas and the brokers' clock
- group_checks: the consumer group and its members
- flow_checks: lag, open transactions, silent participants, stuck orders
- checks: all checks by name
- doctor_output: lines for people, JSON for programs
- cli: the command
"""

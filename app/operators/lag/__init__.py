"""`saga lag`: how far the orchestrator's group is behind on each input partition.

- partition_lag: the offsets of one partition, and what follows from them
- measure: asks the brokers for them
- lag_output: the table, and the JSON object
- cli: the command
"""

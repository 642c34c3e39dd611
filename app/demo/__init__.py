"""`saga demo`: a real Kafka, two pods, a kill -9 in the middle, and the proof that nothing was lost.

In the demo's own words, it is *played* on a *stage*: a Kafka, with topics and a group under a prefix of their own.

- cli: the command
- plan: the numbers of a run
- play: the run from start to proof
- stage: creates and removes the topics, on a given Kafka or on one of its own
- children: the pods and sample services as child processes
- placing: places the orders at the plan's rate
- watch, group: follow the run from the topics and from the committed offsets
- view: shows the progress
"""

"""The thread that polls, decides and commits.

loop.py      poll, decide the partitions with work, run what is due, commit   [StreamThread, TaskExecutor]
inbox.py     records read, not decided yet                                    [PartitionGroup, RecordQueue]
batch.py     one transaction in the making, and what a step sees of it        [RecordCollector, ProcessorContext]
wakeups.py   due timers, and steps queued for capacity                        [punctuate]
clock.py     the time of a batch; it never jumps                              [Time]
"""

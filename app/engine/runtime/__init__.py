"""The loop of the main thread: it polls and decides, and hands batches to the producers' threads to commit.

loop.py      poll, decide the partitions with work, run what is due, commit   [StreamThread, TaskExecutor]
inbox.py     records read, not decided yet                                    [PartitionGroup, RecordQueue]
batch.py     one transaction in the making, and what a step sees of it        [RecordCollector, ProcessorContext]
wakeups.py   due timers, and steps queued for capacity                        [punctuate]
clock.py     the time of a batch; it never jumps                              [Time]
input_stats.py, health.py, pod_log.py   what metrics, probes and logs tell    [StreamsMetrics]

The callbacks of a rebalance are in application.py; they run on this thread, in a poll.
"""

"""The stream engine, in the order of a record's way. In brackets: the same thing in Kafka Streams.

runtime/loop.py                     poll, decide, run what is due, commit         [StreamThread, TaskExecutor]
runtime/inbox.py                    records read, not decided yet                 [PartitionGroup, RecordQueue]
assignment/partition_task.py        queue, state and positions of one partition   [StreamTask]
runtime/batch.py                    one transaction in the making                 [RecordCollector, ProcessorContext]
processor.py                        a record, from its bytes to its outputs       [Processor]
state/store.py                      the sagas of one partition                    [StateStore]
runtime/wakeups.py                  due timers and free capacity                  [punctuate]
kafka/transactions.py               commits, each on its producer's thread        [StreamsProducer]

Before the first record: assignment/ takes partitions over, and state/changelog_reader.py restores their state.
application.py [KafkaStreams] puts it all together; dataframe.py [ProcessorNode] runs the topology on it.
"""

"""The state of one partition, in memory and on disk.

store.py              sagas by key, with a cache                           [StateStore]
index.py              due times and queues, stored beside the sagas
due_times.py          the next due times, in memory
saga_counts.py        in flight, queued, live, stuck, ended
admission.py          AIMD windows that bound commands in flight
rocksdb.py            the folder: opened, rebuilt, marked as corrupt       [StateDirectory]
save_journal.py       whether a save is missing, and how recent it all is  [OffsetCheckpoint]
changelog_reader.py   restores stores from the changelog                   [StoreChangelogReader]
partition_stats.py    what metrics show of a store
"""

"""The partitions that this process owns, and where it goes on reading them.

assigned_partitions.py   assigned, revoked, lost; the generation of the group     [TaskManager]
task_creator.py          checks, start positions and stores of new partitions     [ActiveTaskCreator]
start_offsets.py         whether it is safe to go on from committed offsets
partition_task.py        queue, state and positions of one partition              [StreamTask]
read_frontier.py         up to when the inputs were read and decided completely
stalled_inputs.py        inputs whose position stands still (open transaction?)
"""

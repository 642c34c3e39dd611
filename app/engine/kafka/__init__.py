"""Clients of Kafka, and questions to the brokers.

client_config.py      settings of all clients, with reasons                   [StreamsConfig]
transactions.py       transactional producers with a thread for commits       [StreamsProducer]
topics_admin.py       creates and checks the topics                           [InternalTopicManager]
permissions.py        the permissions on topics that a process needs
permission_probe.py   tries the permissions that brokers do not describe
"""

"""How any client reaches the brokers, and how it waits for them.

- security: encryption and authentication of a client, and which hosts are on this computer
- first_contact: the first question to the brokers, and why they don't answer it
- retriable: errors that pass by themselves while brokers restart, and the loop that waits for that
"""

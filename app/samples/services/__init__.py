"""The sample services: how each judges an order, and the names of its messages.

- base: what a service consists of
- reservation, payment: the participants of `topologies/order.py`
- shipping, notice: those that `topologies/shipped_order.py` has beside them
"""

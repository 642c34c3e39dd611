"""Histories: the lives of an order id, saga versions, and sagas that stop before their end."""

"""What each input does to a saga: the functions in the cells of the decision table (app/saga/decide.py).

- lifecycle: `order.place`, duplicates and conflicts, the expiry of an ended saga
- requests: `order.cancel`
- replies: success, refusal and undo replies; replies that are ignored
- attempts: failure replies, due timers, free capacity
- operator: `saga.retry`, `saga.skip`, `saga.compensate`
"""

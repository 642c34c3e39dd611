"""The order saga orchestrator: one room per concern, imports pointing one way."""

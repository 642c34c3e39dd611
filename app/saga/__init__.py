"""The pure core: saga definitions, messages, states and the decider; no input or output, no clock, no chance."""

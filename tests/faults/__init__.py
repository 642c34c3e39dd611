"""Faults on purpose: pods that die or sleep at any point, brokers that go away, networks that lose, and the proof."""

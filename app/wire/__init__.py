"""Bytes to messages and back: topics, headers, strict JSON, schemas."""

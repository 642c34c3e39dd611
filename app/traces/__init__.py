"""`saga traces`: finished spans, made from the history. It needs the extra `traces`. Reading order:

`spans`: the spans of a saga's life, from its decisions.
`lives`: the lives under way in one partition, and the offset to start from again.
`history_reader`: reads the history, and commits what is exported.
`otlp`: sends spans by OTLP/HTTP.
"""

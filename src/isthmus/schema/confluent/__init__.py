"""Confluent's schema registry: who reads a message learns there how it was written.

frame         the wire format: a zero byte, the schema's id, the body
registry      the client, and what it remembers; client, its HTTP
subjects      how a schema is called there
ids           the ids of what one place writes
descriptors   files of protobuf, as the registry keeps them
"""

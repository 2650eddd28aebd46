"""The user's models as Protobuf's messages, and back.

shapes, models     what Python's types are in Protobuf
scalars            values on their way
elements           how one value is written and read
fields             how the fields of a message are
converter          a whole model; every fault of one that does not fit
"""

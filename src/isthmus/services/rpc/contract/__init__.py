"""What both sides of a service agree on: its messages, their numbers, their bytes.

draft         the structure that the classes describe, without numbers
lock          the numbers, as they are kept in a file
descriptors   both, as Protobuf's own descriptors
contract      a service, ready to be served or called
text, lint    its .proto
compiling     the .proto of somebody else
"""

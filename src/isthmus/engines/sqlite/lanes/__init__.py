"""Queues: where messages lie, and who holds them.

lanes, leases         ids in the order of sending; ranges held under one row
sends, claims         into the lanes, and out of them
receiver, settlement  one taker, what it holds (held) and what it says of it
survey, clearing      looking without taking; dropping what nobody holds
moments               when leases end, also after a clock went back
"""

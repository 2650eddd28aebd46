"""Connections, transactions, and how those who wait are woken.

database        two pools, one listening connection; where everything else begins
steps, funnel   calls of the database's functions: many in one statement, many callers in one
transaction, native     ours, from the first statement of the user's on
statements, parameters, reads   the user's SQL; what a transaction has read of our tables
timing          what time it is, for all machines
adopted, guest  the user's own
channels, listener      who waits for what, here and in other processes
migrations      the engine's tables, made and changed going forward only
faults          the driver's errors as ours
"""

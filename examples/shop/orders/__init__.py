"""The shop's orders, event-sourced.

purchase      what a customer asks for
events        what can be asked of an order, and what can have happened
order         how it is decided, and what follows: pure
log           the aggregate
views         three read models of its one log, and their queries
"""

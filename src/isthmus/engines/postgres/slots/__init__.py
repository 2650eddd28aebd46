"""What the queue does in the database: a row for each message of each subscription.

tables, claims          the tables; the functions that send, claim, settle, and clear
sends, settlement       what one call says, and many calls together
receiver, held          one taker, and what it holds
moments                 what time it is, for those who lease
survey, clearing        looking at what waits, and dropping it

A slot may be handed out (state 0), is due at a moment (1: delayed, or leased), or waits for
those before it with its key (2). That it may be handed out is a fact of the row, so that an
index serves what is next by priority and order.
"""

"""The consumer: takes deliveries, has them handled, settles them.

consumer              the loop, and how much it takes ahead
sift                  who never reaches a handler; suspects, who reach it alone
pool, watch           the slots in which handlers run; leases and lateness
attempts, guarding    one handler's transaction: committed, or undone; a policy around it
fetching              what a registry has to say, before a handler is called
intermission          what happens while a circuit is open; refusals, which tell of one
finishing, inbox      what is settled together; ids handled before
failing, failures     the retry ladder; the history of a message
dead_letters          where it ends, and how it comes back
"""

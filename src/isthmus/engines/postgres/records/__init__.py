"""What the log does in the database.

tables          the tables; the functions that append, give offsets, and read
appends         what one call adds, and many calls together
reading         records as rows have them
group_tables, groups, member, holding   groups: who is in them, who owns what, where they go on
keeping, upkeep         the functions that drop what is old or replaced; doing so little by little

A record gets its offset after its commit, from whoever reads next, under a lock: what becomes
visible late has a late offset, so that no reader passes over it, nobody waits for a long
transaction elsewhere, and no counter is held inside a transaction of the user's.
"""

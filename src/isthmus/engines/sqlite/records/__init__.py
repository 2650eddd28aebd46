"""Logs: where records lie, and who reads them.

records               appending, and reading by place, by key, by time
groups, member        who reads which partition, and how far
retention, upkeep     what a log lets go; compaction
"""

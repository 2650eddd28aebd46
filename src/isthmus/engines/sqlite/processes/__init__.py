"""What the processes of one file owe each other.

turn, patrol          one writing process at a time; giving up a turn that does not come
wakes, post, watch    who waits for what; letters between processes; strangers' commits
home                  the process and the loop that the file was opened in
"""

"""What the three contracts stand on: write, merge, read, wait, and transactions.

`database` is the border: what is above it knows no thread and no lock.

    writer, worker        one thread: group commit (jobs, batches, savepoints)
    reader                reading the last commit, beside the writer
    checkpoints           the write-ahead log, kept short
    script, transaction   a handler's transaction, played by the writer (favour: the unlucky)
    adopted, guest        a transaction that is the user's own
"""

"""Connections that end in the middle of something."""

from isthmus.testing.faults.fault import Forward, NetworkFault, Passage, Wire

__all__ = ["Close", "Reset"]


class _Ending(NetworkFault):
    """A connection ends once `after` bytes of its `way` have passed."""

    def end(self, wire: Wire) -> None:
        raise NotImplementedError

    async def attend(self, wire: Wire) -> None:
        """End at once what is that far already."""
        if any(one.sent >= self.after for one in wire.passages if self.concerns(one)):
            self.end(wire)

    async def carry(self, data: bytes, passage: Passage, forward: Forward) -> None:
        if left := data[: max(0, self.after - passage.sent)]:
            await forward(left)
        if passage.sent >= self.after:
            self.end(passage.wire)


class Reset(_Ending):
    """Ended by an RST to both sides once `after` bytes have passed (default 0: at once), as
    when a machine crashes. Bytes that are under way may be lost."""

    def end(self, wire: Wire) -> None:
        wire.reset()


class Close(_Ending):
    """Ended by a FIN to both sides once `after` bytes have passed (default 0: at once), as
    when a process ends. What was sent before arrives."""

    def end(self, wire: Wire) -> None:
        wire.close()

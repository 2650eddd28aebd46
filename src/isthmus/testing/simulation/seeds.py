"""Which seeds a test runs."""

import os
from collections.abc import Sequence

__all__ = ["seeds"]


def seeds(few: int) -> Sequence[int]:
    """Return `few` seeds; $SEEDS says otherwise how many, and $SEED names a single one."""
    if one := os.environ.get("SEED"):
        return [int(one)]
    return range(int(os.environ.get("SEEDS", few)))

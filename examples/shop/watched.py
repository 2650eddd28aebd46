"""The shop as it is, with a diary of what its policies tell: what the demonstration runs."""

import os
from pathlib import Path

from diary import Diary
from shop import app

__all__ = ["app"]

Diary(Path(os.environ["SHOP_DIARY"])).keep(app.signals)

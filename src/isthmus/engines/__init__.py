"""One package for each system; nobody imports them, `isthmus.connect` finds them."""

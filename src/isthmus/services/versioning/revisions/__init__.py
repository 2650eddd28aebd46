"""Two revisions of an API, compared: would its clients break?

document  an OpenAPI document, its references followed
breaks    what clients of the old revision would trip over in the new one
"""

from isthmus.services.versioning.revisions.breaks import Break, breaks

__all__ = ["Break", "breaks"]

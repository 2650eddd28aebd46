"""An App for code that blocks: Django, Flask, Celery, scripts.

loop              a loop in a thread of its own, for processes that have none
blocking          one call: its thread waits, and meanwhile runs what has to run in it
lending           connections that stay in their thread
sync_app          the doors
"""

"""The service that fulfils orders; its database is its own.

isthmus run fulfilment.app:app
"""

from orders import views

from fulfilment import billing, choreographed, orchestrated, patience, watching, web
from isthmus import App

__all__ = ["app", "watching"]

app = App("fulfilment")
app.migrations("migrations")
for each in (patience, views, billing, orchestrated, choreographed, web):
    app.include(each.module)

"""The service that fulfils orders; its database is its own.

isthmus run fulfilment.app:app
"""

from orders import views

from fulfilment import billing, choreographed, orchestrated, watching, web
from isthmus import App

__all__ = ["app", "watching"]

app = App("fulfilment")
app.migrations("migrations")
for module in (views.module, billing.module, choreographed.module, orchestrated.module, web.module):
    app.include(module)

"""Fulfilling an order, in two styles: by one that orchestrates, and by services that react.

stock, billing, shipping    what is done, and undone; both styles do these
orchestrated                a saga: one function that says what comes next
choreographed               services that know the event before their own; a flow that watches
web                         orders taken, and looked at, over HTTP
app                         all of it
"""

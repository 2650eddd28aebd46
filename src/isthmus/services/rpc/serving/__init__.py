"""The server's side of a service.

request        what a call brings along: id, trace, deadline; who sends it
endpoint       the user's method, its parameters given
answering      one endpoint on an open Host: the four shapes of a call
server         the worker that serves all of them; its port, its end
about          health and reflection
credentials    TLS and mTLS
site           what all services of an App share
"""

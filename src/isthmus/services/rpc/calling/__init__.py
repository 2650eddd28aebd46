"""The caller's side of a service.

stub           a service of somebody's, called as if it were an object here
method         one of its methods, guarded: the four shapes of a call
channel        the connection
outgoing       what travels along
failing        what errors of grpcio become
credentials    TLS and mTLS
defaults       the policy of a stub that is given none
"""

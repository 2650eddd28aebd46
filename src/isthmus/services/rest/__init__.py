"""Typed routes: a function's annotations say what is read from a request, and what is answered."""

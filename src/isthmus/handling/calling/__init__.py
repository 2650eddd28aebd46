"""The user's function: its signature read once, its parameters given.

handler               a function made callable with messages
signature, payload    what it asks for; what a message gives it
inject, given         parameters by annotation
dependencies          Depends, Header (provider: functions that give values)
resources             what lives as long as the App
middleware, batch     what wraps a call; what a batch handler takes
returned              what it gives back: an answer, if one was asked for
sync_transaction      the transaction of a `def` handler
"""

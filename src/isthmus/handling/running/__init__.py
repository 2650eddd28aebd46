"""One process of an App, from its opening to its drain.

opening               engines, resources, and everything declared
forwarding            what policies tell, to the listeners of the App
runtime, crew         workers, run and drained
controls              pause and resume, over all processes
housekeeping          what is too old, and what nobody owns (ephemeral, leases)
trial                 an App on memory and virtual time, for tests
"""

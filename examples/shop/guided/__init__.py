"""The tour: real processes, told as it goes.

service      the fulfilment service and its payment provider, as processes
guide        what is said, and the commands that show it
visitor      what is asked of the service over HTTP, and waited for
sagas, flows, crowd, views      the scenes
reckoning    all the books, against each other
"""

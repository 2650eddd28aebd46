"""Adapters in tests: one contract that every implementation keeps, real ones and the fake.

contract              AdapterContract, which needs pytest
recorded              an implementation over the real API, as it was recorded
using                 another implementation, for as long as a test lasts
"""

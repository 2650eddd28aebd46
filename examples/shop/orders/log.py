"""The orders: each is what happened to it, and all of it is one log."""

from isthmus import Module
from orders.order import Order

__all__ = ["module", "orders"]

module = Module("orders")
orders = module.aggregate("order", Order)

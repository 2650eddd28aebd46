"""Accounts as the `eventsourcing` library's documentation writes them."""

from collections.abc import Iterator
from uuid import UUID

from eventsourcing.application import Application  # pyright: ignore[reportMissingImports]
from eventsourcing.domain import (  # pyright: ignore[reportMissingImports]
    Aggregate,
    DomainEventProtocol,
    event,
)

__all__ = ["Account", "Accounts"]


class Account(Aggregate):
    @event("Opened")
    def __init__(self) -> None:
        self.balance = 0

    @event("Deposited")
    def deposit(self, amount: int, why: str) -> None:  # noqa: ARG002 - the event keeps it
        self.balance += amount


class Accounts(Application[UUID]):
    log_section_size = 1000

    def open(self) -> UUID:
        account = Account()
        self.save(account)
        return account.id

    def deposit(self, account_id: UUID, amount: int, why: str) -> None:
        self.deposit_often(account_id, amount, why, times=1)

    def deposit_often(self, account_id: UUID, amount: int, why: str, *, times: int) -> None:
        account: Account = self.repository.get(account_id)
        for _ in range(times):
            account.deposit(amount=amount, why=why)
        self.save(account)

    def feed(self, *, page: int = 1000) -> Iterator[DomainEventProtocol[UUID]]:
        """All events, in the order of their storing, as its notification log pages them."""
        start: int | None = 1
        while True:
            notifications = self.notification_log.select(start=start, limit=page)
            if not notifications:
                return
            for notification in notifications:
                yield self.mapper.to_domain_event(notification)
            start = notifications[-1].id + 1

"""What the users of an API read."""

import msgspec

from isthmus.versions import Versions


class Order(msgspec.Struct):
    id: str


def test_versions_tell_what_they_changed_in_the_order_of_declaration() -> None:
    versions = Versions("v3", "v2", "v1")
    versions.deprecate("v1", since="2026-01-01", sunset="2027-06-01T12:30:00Z", link="https://x/y")
    versions.deprecate("v2")

    @versions.change("v2", Order)
    class First:
        """The first.

        And more of it.
        """

    @versions.change("v2", path="GET /orders/{id}")
    class Second:
        def downgrade(self, new: object) -> object:
            return new

    v3, v2, v1 = versions.changelog()
    assert (v3.version, list(v3.changes), v3.deprecated) == ("v3", [], False)
    assert [(each.name, each.of, each.told) for each in v2.changes] == [
        ("First", "Order", "The first.\n\nAnd more of it."),
        ("Second", "GET /orders/{id}", ""),
    ]
    assert (v2.deprecated, v2.deprecated_since, v2.gone_from) == (True, "", "")
    assert (v1.deprecated_since, v1.gone_from) == ("2026-01-01", "2027-06-01T12:30:00Z")
    assert versions.markdown() == (
        "## v3\n\n"
        "## v2\n\nDeprecated.\n\n"
        "- **Order**: The first.\n\n  And more of it.\n\n"
        "- **GET /orders/{id}**: Second\n\n"
        "## v1\n\n"
        "Deprecated since 2026-01-01, gone from 2027-06-01T12:30:00Z; see https://x/y.\n"
    )

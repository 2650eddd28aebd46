from collections.abc import Iterator

import pytest

from isthmus.resilience import Policy


@pytest.fixture(params=["inlined", "chained"], scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways of binding a function: its strategies in one coroutine, or in one for each."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "chained":
            patch.setattr(Policy, "_compiled", Policy.around)
        yield

"""Each version tells of itself as it was."""

from typing import Any

from isthmus import App, Header, MediaType, Uri


async def properties(s: Any, url: str) -> tuple[dict[str, Any], Any]:
    document = (await s.client.get(url)).json()
    orders = document["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]
    name = orders["schema"]["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]["properties"], document.get("servers")


async def test_a_version_s_document_has_its_own_types(app: App, serve: Any, describe: Any) -> None:
    describe(app.versions("v2", "v1", by=Uri() | Header() | MediaType()))
    async with serve(app.declarations) as s:
        new, below = await properties(s, "/openapi.json")
        assert (new["total"]["type"], below) == ("integer", [{"url": "/v2"}])
        for url in ("/openapi.json?version=v1", "/v1/openapi.json"):
            old, below = await properties(s, url)
            assert (old["total"]["type"], below) == ("string", [{"url": "/v1"}])


async def test_where_the_version_is_no_path_the_document_names_none(
    app: App, serve: Any, describe: Any
) -> None:
    describe(app.versions("v2", "v1", by=Header()))
    async with serve(app.declarations) as s:
        old, below = await properties(s, "/openapi.json?version=v1")
        assert (old["total"]["type"], below) == ("string", None)


async def test_an_unknown_version_has_no_document(app: App, serve: Any, describe: Any) -> None:
    describe(app.versions("v2", "v1", by=Header()))
    async with serve(app.declarations) as s:
        answer = await s.client.get("/openapi.json?version=v7")
        assert answer.status == 404
        assert "v2, v1" in answer.json()["detail"]

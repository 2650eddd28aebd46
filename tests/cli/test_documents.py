"""`isthmus openapi` and `isthmus asyncapi`."""

import json
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator


def test_the_openapi_document_is_written(project: Any) -> None:
    document = json.loads(project("openapi").stdout)
    assert document["info"]["title"] == "shop"
    assert list(document["paths"]) == ["/orders"]
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_the_asyncapi_document_is_written(project: Any) -> None:
    document = json.loads(project("asyncapi", "shop:app").stdout)
    assert document["asyncapi"] == "3.0.0"
    assert list(document["channels"]) == ["orders", "order-accepted", "ledger"]
    assert document["servers"]["engine"]["protocol"] == "sqlite"


def test_a_document_is_written_to_a_file(project: Any) -> None:
    for command in ("openapi", "asyncapi"):
        result = project(command, "--out", f"{command}.json")
        assert (result.exit_code, result.stdout) == (0, "")
        written = json.loads((project.folder / f"{command}.json").read_text())
        assert written == json.loads(project(command).stdout)


def test_a_file_that_cannot_be_written_is_told(project: Any) -> None:
    result = project("openapi", "--out", "nowhere/openapi.json")
    assert result.exit_code == 1
    assert "cannot write nowhere/openapi.json: No such file or directory" in result.output


def test_what_is_told_as_json_only_is_on_no_line(project: Any) -> None:
    told = project.json("describe")["route"][0]
    assert told["options"]["body_limit"] == 1 << 20
    assert "options" not in project("describe").output

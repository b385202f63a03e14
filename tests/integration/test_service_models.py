"""The models of AWS services that the executable ships serve every sink."""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore
import botocore.exceptions
import botocore.loaders
import botocore.regions
import pytest

from tests.aws_server import AwsServer
from tests.aws_sinks import SINKS, STREAM, deliver, effective, point_to

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
DATA = Path(botocore.__file__).parent / "data"


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "packaging")
    monkeypatch.delitem(sys.modules, "service_models", raising=False)
    import service_models  # type: ignore[import-not-found]

    found: ModuleType = service_models
    return found


@pytest.fixture
def folder(models: Any, tmp_path: Path) -> Path:  # noqa: ANN401 - a module outside the package
    """Return botocore's data as it is shipped: cut models first in the way of its loader."""
    for service in models.OPERATIONS:
        (source,) = DATA.glob(f"{service}/*/service-2.json.gz")
        models.write_model(source, tmp_path / "data" / source.relative_to(DATA), service)
    models.write_endpoints(DATA / "endpoints.json", tmp_path / "data/endpoints.json")
    return tmp_path / "data"


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
def test_every_sink_delivers_with_them(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    sink: Any,  # noqa: ANN401
) -> None:
    with AwsServer(tmp_path) as server:
        point_to(server, monkeypatch)
        server.logs.groups["/nodecheck"].discard(STREAM)
        monkeypatch.setenv("AWS_DATA_PATH", str(folder))
        (sent,) = deliver(sink, effective(tmp_path / "state"))
        assert not sent.refused
        assert sink.received(server)


def test_they_are_small_and_reach_all_they_name(models: Any, folder: Path) -> None:  # noqa: ANN401
    loader = botocore.loaders.Loader([str(folder)], include_default_search_paths=False)
    for service, operations in models.OPERATIONS.items():
        model = botocore.loaders.Loader.load_service_model(loader, service, "service-2")
        assert sorted(model["operations"]) == sorted(operations)
        text = json.dumps(model)
        named = set(re.findall(r'"shape": "(\w+)"', text))
        assert named == set(model["shapes"])
        assert '"documentation"' not in text
    sizes = {path: path.stat().st_size for path in folder.rglob("*.gz")}
    assert max(sizes.values()) < 6_000


def test_each_endpoint_is_what_it_was(models: Any, folder: Path) -> None:  # noqa: ANN401
    metadata = [
        json.loads(gzip.decompress(path.read_bytes()))["metadata"]
        for path in folder.glob("*/*/service-2.json.gz")
    ]
    assert {item["endpointPrefix"] for item in metadata} == set(models.ENDPOINT_PREFIXES)
    whole, cut = (json.loads((top / "endpoints.json").read_bytes()) for top in (DATA, folder))
    resolvers = [botocore.regions.EndpointResolver(listed) for listed in (whole, cut)]
    places = [
        (prefix, region, dual, fips)
        for prefix in models.ENDPOINT_PREFIXES
        for partition in whole["partitions"]
        for region in (*partition["regions"], f"{partition['partition']}-global", "no-such-1")
        for dual in (False, True)
        for fips in (False, True)
    ]
    assert len(places) > 500
    for prefix, region, dual, fips in places:
        told = []
        for resolver in resolvers:
            try:
                told.append(
                    resolver.construct_endpoint(
                        prefix, region, use_dualstack_endpoint=dual, use_fips_endpoint=fips
                    )
                )
            except botocore.exceptions.EndpointVariantError as error:
                told.append(str(error))
        assert told[0] == told[1], (prefix, region)
    assert (folder / "endpoints.json").stat().st_size < 60_000


def test_every_operation_that_is_called_is_shipped(models: Any) -> None:  # noqa: ANN401
    sources = (path.read_text() for path in (ROOT / "nodecheck/sinks").glob("*.py"))
    called = set(re.findall(r'(?:call|_create)\((?:client, )?"(\w+)"', "".join(sources)))
    assert called == {"PutComplianceItems", "PutMetricData", "PutLogEvents", "CreateLogStream",
                      "CreateLogGroup"}  # fmt: skip
    shipped = {name for names in models.OPERATIONS.values() for name in names}
    assert called <= shipped

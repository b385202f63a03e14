"""Where the agent works decides which endpoints are asked."""

from __future__ import annotations

import pytest

from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import MetadataFacts, RegistrationFacts
from nodecheck.model.node import NodeFacts
from nodecheck.model.settings import DEFAULTS, Settings
from nodecheck.node_looks import region_of_agent
from nodecheck.plan import Look, Outcomes
from tests.fake_host import fake_host
from tests.identity_builders import REGION, SERVICE, files_say, instance_says

NOBODY = files_say(runtime=None, registration=None, keys=())


@pytest.mark.parametrize(
    ("registration", "stage", "region"),
    [
        (files_say(), "node", REGION),
        (instance_says(), "node", REGION),
        (files_say(), "preflight", "us-east-1"),  # where it is going to be registered
        (instance_says(), "image", "us-east-1"),
        (NOBODY, "node", "us-east-1"),
        (ProbeError("not seen"), "node", "us-east-1"),
    ],
)
def test_a_variable_of_the_shell_does_not_move_an_agent(
    registration: RegistrationFacts | ProbeError, stage: str, region: str
) -> None:
    found = Outcomes()
    found.put(RegistrationFacts, registration)
    found.put(MetadataFacts, SERVICE)
    found.put(NodeFacts, NodeFacts("", "", "us-east-1", "AWS_REGION", "", is_ec2=False))
    settings = Settings({**DEFAULTS.values, "run.stage": stage}, DEFAULTS.origins)
    assert region_of_agent(Look(fake_host(), settings, found, 1.0))[0] == region

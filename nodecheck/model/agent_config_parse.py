"""Read the agent's configuration as the agent does: by the rules of Go's encoding/json.

Names are compared without case, unknown ones are skipped, ``null`` changes nothing, and an object
that comes twice adds to the first. One value of the wrong type, and the agent does not start: its
loader prints that it falls back to the defaults, but returns the error, and the core ends with "app
config could not be loaded" (agent/appconfig/appconfig.go, core/app/bootstrap/bootstrap.go). The
fields and their types are those of agent/appconfig/contracts.go of
https://github.com/aws/amazon-ssm-agent.
"""

from __future__ import annotations

from typing import Final

from nodecheck.model.agent_config import DEFAULT_ORDER, AgentConfig
from nodecheck.records import dataclass, field


@dataclass(frozen=True, slots=True)
class Members:
    """A JSON object as it was written: every name and value, in order, also those that repeat."""

    pairs: tuple[tuple[str, object], ...]


_FIELDS: Final = {
    "Profile": {
        "text": "ShareProfile",
        "switch": "ShareCreds ForceUpdateCreds",
        "number": "KeyAutoRotateDays",
    },
    "Mds": {
        "text": "Endpoint",
        "number": "CommandWorkersLimit CommandWorkerBufferLimit StopTimeoutMillis"
        " CommandRetryLimit",
    },
    "Ssm": {
        "text": "Endpoint CustomInventoryDefaultLocation PluginLocalOutputCleanup"
        " OrchestrationDirectoryCleanup",
        "number": "HealthFrequencyMinutes AssociationFrequencyMinutes AssociationRetryLimit"
        " AssociationLogsRetentionDurationHours RunCommandLogsRetentionDurationHours"
        " SessionLogsRetentionDurationHours",
    },
    "Mgs": {
        "text": "Region Endpoint",
        "number": "StopTimeoutMillis SessionWorkersLimit SessionWorkerBufferLimit",
        "texts": "DeniedPortForwardingRemoteIPs",
    },
    "Agent": {
        "text": "Name Version Region ServiceDomain OrchestrationRootDir DownloadRootDir"
        " TelemetryMetricsNamespace",
        "switch": "ContainerMode SelfUpdate TelemetryMetricsToCloudWatch TelemetryMetricsToSSM"
        " ForceFileIPC",
        "number": "SelfUpdateScheduleDay LongRunningWorkerMonitorIntervalSeconds"
        " AuditExpirationDay GoMaxProcForAgentWorker",
    },
    "Os": {"text": "Lang Name Version"},
    "S3": {"text": "Endpoint Region LogBucket LogKey"},
    "Birdwatcher": {"switch": "ForceEnable"},
    "Kms": {"text": "Endpoint"},
    "Identity": {"text": "Ec2SystemInfoDetectionResponse", "texts": "ConsumptionOrder"},
}
"""Section, kind of value, names. What later versions add is skipped, as by an older agent."""

_KINDS: Final = {
    section.lower(): (
        section,
        {name.lower(): (name, kind) for kind, names in kinds.items() for name in names.split()},
    )
    for section, kinds in _FIELDS.items()
}
_SPOKEN: Final = {
    "text": "a string",
    "switch": "true or false",
    "number": "a whole number",
    "texts": "a list of strings",
}


@dataclass(slots=True)
class _Reading:
    """What was read so far: values by section and name, and what is wrong."""

    values: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def switch(self, name: str, default: bool) -> bool:  # noqa: FBT001 - as the value itself
        value = self.values.get(name)
        return value if isinstance(value, bool) else default


def parse(document: object, path: str) -> AgentConfig:
    """Return what a JSON document says to the agent; objects in it are ``Members``."""
    reading = _Reading()
    if isinstance(document, Members):
        for name, value in document.pairs:
            _read_section(name, value, reading)
    elif document is not None:
        reading.wrong.append("the whole is not an object")
    order = reading.values.get("Identity.ConsumptionOrder")
    refused = f"{path}: {reading.wrong[0]}: the agent does not start" if reading.wrong else ""
    mgs_endpoint = reading.text("Mgs.Endpoint")
    problems = [f"{path}: {text}" for text in reading.wrong]
    if mgs_endpoint and mgs_host(mgs_endpoint) is None:
        problems.append(
            f"{path}: Mgs.Endpoint {mgs_endpoint!r} is ignored: with a port it needs https:// in"
            " front"
        )
    return AgentConfig(
        path=path,
        region=reading.text("Agent.Region"),
        service_domain=reading.text("Agent.ServiceDomain"),
        ssm_endpoint=reading.text("Ssm.Endpoint"),
        mds_endpoint=reading.text("Mds.Endpoint"),
        mgs_endpoint=mgs_endpoint,
        mgs_region=reading.text("Mgs.Region"),
        s3_endpoint=reading.text("S3.Endpoint"),
        kms_endpoint=reading.text("Kms.Endpoint"),
        share_credentials=reading.switch("Profile.ShareCreds", default=True),
        share_profile=reading.text("Profile.ShareProfile"),
        self_update=reading.switch("Agent.SelfUpdate", default=False),
        order=order if isinstance(order, tuple) else DEFAULT_ORDER,
        problems=tuple(problems),
        refused=refused,
    )


def mgs_host(endpoint: str) -> str | None:
    """Return the host, and port if any, that the agent takes from ``Mgs.Endpoint``.

    It parses the text as a URL (agent/session/config/config.go, Go's net/url): without a scheme a
    name alone is a path, and taken; a port makes it an error, or the name a scheme. The connection
    is always TLS, whatever the scheme.

    >>> mgs_host("https://127.0.0.1:8444/x"), mgs_host("vpce-1.example")
    ('127.0.0.1:8444', 'vpce-1.example')
    >>> mgs_host("127.0.0.1:8444"), mgs_host("vpce-1.example:443")
    (None, None)
    """
    _, separator, rest = endpoint.partition("://")
    host = (rest if separator else endpoint).partition("/")[0].rpartition("@")[2]
    if not host or (not separator and ":" in host):
        return None
    return host


def _read_section(name: str, value: object, reading: _Reading) -> None:
    section, kinds = _KINDS.get(name.lower(), ("", {}))
    if not section or value is None:
        return
    if not isinstance(value, Members):
        reading.wrong.append(f"{section} is not an object")
        return
    for key, found in value.pairs:
        spelled, kind = kinds.get(key.lower(), ("", ""))
        if not kind or found is None:
            continue
        taken = _taken(found, kind)
        if taken is None:
            reading.wrong.append(f"{section}.{spelled} is not {_SPOKEN[kind]}")
        else:
            reading.values[f"{section}.{spelled}"] = taken


def _taken(value: object, kind: str) -> str | bool | int | tuple[str, ...] | None:
    """Return the value where it is of its kind, None where it is not."""
    if kind == "texts" and isinstance(value, list):
        texts = [_whole(item or "") for item in value if item is None or isinstance(item, str)]
        return tuple(texts) if len(texts) == len(value) else None
    if kind == "switch":
        return value if isinstance(value, bool) else None
    if kind == "number":
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    return _whole(value) if kind == "text" and isinstance(value, str) else None


def _whole(text: str) -> str:
    """Return the text without halves of surrogate pairs, which JSON can spell and nobody print."""
    return text.encode("utf-8", "replace").decode()

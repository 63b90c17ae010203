"""Request bodies, read as the engine's decoder reads them, and made unambiguous.

The engine is written in Go. Its decoder finds a field of a structure by a name in any
case (also in letters that only Unicode folds to ASCII: `ſ` is s, `K` is k), takes the
last of several spellings, merges repeated objects, and takes null for "not set". The
keys of maps (labels, ports) it takes as they are.

`parse` refuses a body in which any object names one field twice in any spelling, so no
reading order is left to differ in. `canonical` then takes the fields that a shape
knows, under their proper names and with their proper types; what the shape does not
know is returned by name and never reaches the engine. What is sent to the engine is
always written anew from that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Union

Json = Any


class MalformedError(ValueError):
    """A body that is not what the engine would accept, or that is ambiguous."""


class Pairs(list[tuple[str, Json]]):
    """An object as written: whether it is a structure or a map is not known yet."""


# The only letters beyond ASCII that fold to ASCII letters.
_FOLDS = {ord("ſ"): "s", ord("\u212a"): "k"}
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_INT64 = 1 << 63


def fold(name: str) -> str:
    """Return the form in which two spellings of one field name are equal."""
    return name.translate(_FOLDS).translate(_LOWER)


class Kind:
    """A type of value."""

    def __init__(self, *types: type) -> None:
        self.types = types

    def accepts(self, value: Json) -> bool:
        # bool is an int in Python, not in JSON.
        if isinstance(value, bool):
            return bool in self.types
        return isinstance(value, self.types)


class ListOf:
    """A list of one shape."""

    def __init__(self, item: Shape) -> None:
        self.item = item


class MapOf:
    """An object whose keys are data, not field names."""

    def __init__(self, item: Shape) -> None:
        self.item = item


Shape = Union[Kind, ListOf, MapOf, "Struct"]


class Struct:
    """An object with known fields: by their shapes, or each with its own."""

    def __init__(self, *groups: Fields, **fields: Shape) -> None:
        shapes = [pair for group in groups for pair in group.items()]
        named = {name: shape for shape, names in shapes for name in names.split()}
        self.fields = {**named, **fields}
        self.by_fold = {fold(name): name for name in self.fields}


# Names of fields, apart by blanks, by the shape that they have.
Fields = Mapping[Shape, str]


TEXT = Kind(str)
FLAG = Kind(bool)
WHOLE = Kind(int)
TEXTS = ListOf(TEXT)
TEXT_MAP = MapOf(TEXT)
# Entrypoint and Cmd: a list, or one string.
WORDS = Kind(list, str)


def parse(body: bytes) -> Pairs:
    """Return the one JSON object of a body.

    Raises MalformedError for anything else, and where two keys of an object could be
    taken for one another.
    """

    def refuse_constant(name: str) -> Json:
        raise MalformedError(f"'{name}' is not JSON")

    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=Pairs,
            parse_constant=refuse_constant,
        )
    except UnicodeDecodeError:
        raise MalformedError("the request body is not UTF-8") from None
    except RecursionError:
        raise MalformedError("the request body is nested too deeply") from None
    except MalformedError:
        raise
    except ValueError as error:
        raise MalformedError(f"the request body is not JSON: {error}") from None
    if not isinstance(value, Pairs):
        raise MalformedError("the request body is not a JSON object")
    return value


def canonical(pairs: Pairs, shape: Struct) -> tuple[dict[str, Json], list[str]]:
    """Return the known fields under their proper names, and the unknown ones' names.

    Fields that are null are left out. Unknown fields are named by their path, and only
    if they say something (not null, false, 0, "" or empty).
    """
    unknown: list[str] = []
    try:
        return _struct(pairs, shape, "", unknown), unknown
    except RecursionError:
        raise MalformedError("the request body is nested too deeply") from None


def _struct(
    pairs: Pairs, shape: Struct, path: str, unknown: list[str]
) -> dict[str, Json]:
    seen: set[str] = set()
    result: dict[str, Json] = {}
    for key, value in pairs:
        folded = fold(key)
        if folded in seen:
            raise MalformedError(f"field '{path}{key}' is stated more than once")
        seen.add(folded)
        name = shape.by_fold.get(folded)
        if name is None:
            if value or isinstance(value, float):
                unknown.append(path + key)
        elif value is not None:
            result[name] = _value(value, shape.fields[name], path + name, unknown)
    return result


def _value(value: Json, shape: Shape, path: str, unknown: list[str]) -> Json:
    if isinstance(shape, Struct):
        if not isinstance(value, Pairs):
            raise MalformedError(f"field '{path}' is not an object")
        return _struct(value, shape, path + ".", unknown)
    if isinstance(shape, MapOf):
        if not isinstance(value, Pairs):
            raise MalformedError(f"field '{path}' is not an object")
        entries: dict[str, Json] = {}
        for key, item in value:
            if key in entries:
                raise MalformedError(f"field '{path}.{key}' is stated more than once")
            entries[key] = _item(item, shape.item, f"{path}.{key}", unknown)
        return entries
    if isinstance(value, Pairs):
        raise MalformedError(f"field '{path}' is an object")
    if isinstance(shape, ListOf):
        if not isinstance(value, list):
            raise MalformedError(f"field '{path}' is not a list")
        return [_item(item, shape.item, f"{path}[]", unknown) for item in value]
    if not shape.accepts(value):
        raise MalformedError(f"field '{path}' has the wrong type")
    if isinstance(value, list) and not all(isinstance(word, str) for word in value):
        raise MalformedError(f"field '{path}' has the wrong type")
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise MalformedError(f"field '{path}' is out of range")
    return value


def _item(item: Json, shape: Shape, path: str, unknown: list[str]) -> Json:
    """Return one entry of a list or a map; null there is the type's empty value."""
    if item is not None:
        return _value(item, shape, path, unknown)
    if isinstance(shape, (Struct, MapOf)):
        return {}
    if isinstance(shape, ListOf):
        return []
    return "" if str in shape.types else 0


def encode(value: Mapping[str, Json]) -> bytes:
    """Return the body to send to the engine."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


_ENDPOINT = Struct(
    {
        TEXT: "NetworkID EndpointID Gateway IPAddress IPv6Gateway GlobalIPv6Address "
        "MacAddress",
        TEXTS: "Links Aliases DNSNames",
        WHOLE: "IPPrefixLen GlobalIPv6PrefixLen GwPriority",
        TEXT_MAP: "DriverOpts",
    },
    IPAMConfig=Struct({TEXT: "IPv4Address IPv6Address", TEXTS: "LinkLocalIPs"}),
)
_RATES = ListOf(Struct({TEXT: "Path", WHOLE: "Rate"}))

MOUNT = Struct(
    {TEXT: "Type Source Target Consistency", FLAG: "ReadOnly"},
    BindOptions=Struct(
        {
            TEXT: "Propagation",
            FLAG: "NonRecursive CreateMountpoint ReadOnlyNonRecursive "
            "ReadOnlyForceRecursive",
        }
    ),
    VolumeOptions=Struct(
        {FLAG: "NoCopy", TEXT: "Subpath", TEXT_MAP: "Labels"},
        DriverConfig=Struct({TEXT: "Name", TEXT_MAP: "Options"}),
    ),
    ImageOptions=Struct({TEXT: "Subpath"}),
    TmpfsOptions=Struct({WHOLE: "SizeBytes Mode", ListOf(TEXTS): "Options"}),
)

_FILES: Fields = {
    TEXT: "VolumeDriver ContainerIDFile",
    TEXTS: "Binds VolumesFrom",
    TEXT_MAP: "Tmpfs StorageOpt",
    FLAG: "ReadonlyRootfs",
    ListOf(MOUNT): "Mounts",
}
_RESOURCES: Fields = {
    WHOLE: "NanoCpus CpuShares CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime "
    "Memory MemoryReservation MemorySwap MemorySwappiness KernelMemory KernelMemoryTCP "
    "OomScoreAdj PidsLimit ShmSize BlkioWeight",
    TEXT: "CpusetCpus CpusetMems Cgroup CgroupParent",
    FLAG: "OomKillDisable",
    ListOf(Struct({TEXT: "Name", WHOLE: "Soft Hard"})): "Ulimits",
    ListOf(Struct({TEXT: "Path", WHOLE: "Weight"})): "BlkioWeightDevice",
    _RATES: "BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps "
    "BlkioDeviceWriteIOps",
}
_DEVICE = Struct({TEXT: "PathOnHost PathInContainer CgroupPermissions"})
_DEVICE_REQUEST = Struct(
    {TEXT: "Driver", WHOLE: "Count", TEXTS: "DeviceIDs", TEXT_MAP: "Options"},
    Capabilities=ListOf(TEXTS),
)
_RIGHTS: Fields = {
    FLAG: "Privileged",
    WORDS: "CapAdd CapDrop",
    TEXT: "Runtime",
    TEXTS: "DeviceCgroupRules GroupAdd SecurityOpt MaskedPaths ReadonlyPaths",
    TEXT_MAP: "Sysctls",
    ListOf(_DEVICE): "Devices",
    ListOf(_DEVICE_REQUEST): "DeviceRequests",
}
_NETWORK: Fields = {
    TEXT: "CgroupnsMode IpcMode PidMode UTSMode UsernsMode NetworkMode",
    TEXTS: "Links Dns DnsOptions DnsSearch ExtraHosts",
    FLAG: "PublishAllPorts",
    MapOf(ListOf(Struct({TEXT: "HostIp HostPort"}))): "PortBindings",
}
_LIFE: Fields = {
    FLAG: "AutoRemove Init",
    TEXT: "Isolation",
    ListOf(WHOLE): "ConsoleSize",
    Struct({TEXT: "Name", WHOLE: "MaximumRetryCount"}): "RestartPolicy",
    Struct({TEXT: "Type", TEXT_MAP: "Config"}): "LogConfig",
}
HOST_CONFIG = Struct(_FILES, _RESOURCES, _RIGHTS, _NETWORK, _LIFE)

CREATE = Struct(
    {
        TEXT: "Hostname Domainname User Image WorkingDir MacAddress StopSignal",
        FLAG: "AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce "
        "ArgsEscaped NetworkDisabled",
        TEXTS: "Env OnBuild Shell",
        WORDS: "Cmd Entrypoint",
        WHOLE: "StopTimeout",
        TEXT_MAP: "Labels",
        MapOf(Struct()): "ExposedPorts Volumes",
    },
    Healthcheck=Struct(
        {TEXTS: "Test", WHOLE: "Interval Timeout StartPeriod StartInterval Retries"}
    ),
    HostConfig=HOST_CONFIG,
    NetworkingConfig=Struct(EndpointsConfig=MapOf(_ENDPOINT)),
)

EXEC = Struct(
    {
        TEXT: "User DetachKeys WorkingDir",
        FLAG: "Privileged Tty AttachStdin AttachStdout AttachStderr Detach",
        TEXTS: "Env",
        WORDS: "Cmd",
        ListOf(WHOLE): "ConsoleSize",
    }
)

VOLUME = Struct({TEXT: "Name Driver", TEXT_MAP: "DriverOpts Labels"})

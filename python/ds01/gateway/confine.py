"""What a create request may not ask for: rights, devices, namespaces, host folders.

Pure functions on a canonical request. What mlc asks for by its contract is left out
(privileged, host IPC, devices that are not there); what would lead out of the container
is refused by name. Lists name what is allowed: what a later engine brings is closed
until somebody looks at it.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from ds01.gateway.types import (
    Caller,
    HostFacts,
    Limits,
    Notes,
    RefusalError,
    Site,
    not_allowed,
)
from ds01.gpus.ledger.device_request import Create, Gpus, put_gpus

# Capabilities that Docker gives by default, and two that stay inside a container.
_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK"),
        *("KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID"),
        *("SETPCAP", "SETUID", "SYS_CHROOT", "SYS_PTRACE"),
    }
)
_DEVICE = re.compile(
    r"/dev/(?:snd|dri|infiniband)(?:/[A-Za-z0-9:_.-]+)*|/dev/(?:video\d+|kfd|fuse)"
)
_SYSCTL = re.compile(r"net\.[\w.\-/]+|kernel\.(?:msg|sem|shm)\w*|fs\.mqueue\.\w+")
# The NVIDIA runtime reads mounts at this place as a request for GPUs.
_GPU_MOUNTS = re.compile(r"/(?:var/)?run/nvidia-container-devices(?:/|$)")
# image_workshop.Workshop: one volume for each user who builds images.
_PACKAGES = re.compile(r"ds01-packages-(\d+)", re.ASCII)
_PROTECTED = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32"),
    *("/proc", "/run", "/sbin", "/sys", "/usr", "/var/lib/containerd"),
    *("/var/lib/docker", "/var/lib/ds01", "/var/log", "/var/run", "/var/spool"),
)
# Opened whole, these would show everybody's files; single folders in them may be.
_SHARED = ("/home",)
# Inside protected folders, and harmless where nothing can be written.
_READABLE = (
    "/etc/ca-certificates",
    "/etc/group",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/passwd",
    "/etc/ssl/certs",
    "/etc/timezone",
    "/lib/modules",
    "/usr",
)
_LOCAL_MOUNTS = frozenset({"", "none", "bind"})


def apply(
    create: Create,
    caller: Caller,
    limits: Limits,
    host: HostFacts,
    site: Site,
    *,
    gpus: Gpus,
    notes: Notes,
) -> None:
    """Confine a create request in place. Raises RefusalError for what escapes."""
    config = create["HostConfig"]
    _rights(config, host, notes)
    _devices(config, host, notes)
    _namespaces(config, caller, notes)
    _network(create, limits, caller, notes)
    _files(config, caller, host, site)
    put_gpus(create, gpus)
    _life(config, notes)


def _rights(config: dict[str, Any], host: HostFacts, notes: Notes) -> None:
    if config.pop("Privileged", False):
        notes.by_contract(
            "privileged",
            "privileged mode is left out: it would open the whole host and every GPU",
        )
    for key in ("CapAdd", "CapDrop"):
        if isinstance(config.get(key), str):
            config[key] = [config[key]]
    for name in config.get("CapAdd", []):
        if name.upper().removeprefix("CAP_") not in _CAPABILITIES:
            what = f"capability '{name}' is"
            raise not_allowed("capability", what, f"--cap-add {name}")
    _security(config, host, notes)
    for key in ("MaskedPaths", "ReadonlyPaths"):
        if key in config:
            raise not_allowed("system-paths", "unmasked system paths are")
    for name in config.get("Sysctls", {}):
        if not _SYSCTL.fullmatch(name):
            raise RefusalError("sysctl", f"sysctl '{name}' is not allowed here")
    runtime = config.pop("Runtime", "")
    if runtime not in {"", "runc", "io.containerd.runc.v2", host.default_runtime}:
        if runtime != "nvidia":
            raise not_allowed("runtime", f"runtime '{runtime}' is", "--runtime")
        notes.tell("runtime", "runtime 'nvidia' is left out: GPUs come by --gpus")
    config.pop("Isolation", None)


def _security(config: dict[str, Any], host: HostFacts, notes: Notes) -> None:
    """Keep no-new-privileges; the default seccomp profile unless ROCm needs none."""
    is_rocm = "/dev/kfd" in host.devices and any(
        device.get("PathOnHost") == "/dev/kfd" for device in config.get("Devices", [])
    )
    kept = []
    for option in config.pop("SecurityOpt", []):
        name, _, value = re.sub(r"^([\w-]+):", r"\1=", option).partition("=")
        if name == "no-new-privileges" and value in {"", "true"}:
            kept.append("no-new-privileges")
        elif name == "seccomp" and value == "unconfined" and is_rocm:
            kept.append("seccomp=unconfined")
        elif name == "seccomp":
            notes.by_contract(
                "seccomp", "the engine's own seccomp profile is used, not another"
            )
        elif name == "no-new-privileges":
            continue
        else:
            what = f"security option '{option[:60]}' is"
            raise not_allowed("security", what, "--security-opt")
    if kept:
        config["SecurityOpt"] = kept


def _devices(config: dict[str, Any], host: HostFacts, notes: Notes) -> None:
    kept = []
    for device in config.pop("Devices", []):
        path = str(device.get("PathOnHost", ""))
        if path.startswith("/dev/nvidia"):
            raise RefusalError(
                "device",
                f"device '{path}' cannot be asked for by name",
                "ask for GPUs with --gpus",
            )
        if not _DEVICE.fullmatch(path) or posixpath.normpath(path) != path:
            raise not_allowed("device", f"device '{path}' is", f"--device {path}")
        if path not in host.devices:
            notes.by_contract(
                "device", f"device '{path}' does not exist here: left out"
            )
            continue
        kept.append(device)
    if kept:
        config["Devices"] = kept
    if config.pop("DeviceCgroupRules", []):
        raise not_allowed("device", "device rules are", "--device-cgroup-rule")


def _namespaces(config: dict[str, Any], caller: Caller, notes: Notes) -> None:
    ipc = config.pop("IpcMode", "")
    if ipc == "host":
        notes.by_contract(
            "ipc", "the host's IPC is left out: shared memory is the container's own"
        )
    is_shared = ipc in {"none", "shareable"} or _joins(ipc, caller)
    if ipc not in {"", "host", "private"} and not is_shared:
        raise not_allowed("ipc", f"IPC mode '{ipc}' is")
    config["IpcMode"] = ipc if is_shared else "private"
    pid = config.get("PidMode", "")
    if pid and not _joins(pid, caller):
        raise not_allowed("pid", f"PID mode '{pid}' is", "--pid")
    if config.pop("UTSMode", ""):
        raise RefusalError("uts", "the host's UTS namespace is not allowed here")
    if config.pop("UsernsMode", ""):
        raise RefusalError("userns", "the host's user namespace is not allowed here")
    if config.get("CgroupnsMode", "") not in {"", "private"}:
        del config["CgroupnsMode"]
        notes.quiet("cgroupns", "the host's cgroup namespace is left out")
    config.pop("Cgroup", None)


def _joins(mode: str, caller: Caller) -> bool:
    """May the caller join another container's namespace? In private mode, any."""
    return caller.private and bool(re.fullmatch(r"container:[\w.#-]+", mode))


def _network(create: Create, limits: Limits, caller: Caller, notes: Notes) -> None:
    config = create["HostConfig"]
    mode = config.get("NetworkMode", "")
    if mode.startswith("container:") and not _joins(mode, caller):
        raise RefusalError("network", f"network '{mode}' is not allowed here")
    if limits.network == "host":
        return
    endpoints = create.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    if mode == "host" or "host" in endpoints:
        notes.by_contract(
            "network", "the network is the bridge: policy does not allow the host's"
        )
        endpoints.pop("host", None)
        if mode == "host":
            config["NetworkMode"] = "bridge"


def protected_path(
    path: str, caller: Caller, host: HostFacts, site: Site, *, read_only: bool = False
) -> str | None:
    """Return which protected folder a host path lies in or would open, or None."""
    opened = [f"/run/user/{caller.uid}", *sorted(host.devices)]
    if read_only:
        opened += _READABLE
    # `//x` is a path of its own to POSIX, and `/x` to Linux.
    plain = "/" + posixpath.normpath(path).lstrip("/")
    guards = (*_PROTECTED, host.data_root, host.engine_socket, *site.protected)
    for place in {plain, host.real_paths.get(path, plain)}:
        if any(_inside(place, harmless) for harmless in opened):
            continue
        for guarded in guards:
            if _inside(place, guarded) or _inside(guarded, place):
                return guarded
        for shared in _SHARED:
            if _inside(shared, place):
                return shared
    return None


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def bind_sources(create: Create) -> set[str]:
    """Return the host paths that a request mounts."""
    config = create.get("HostConfig", {})
    found = {bind.split(":")[0] for bind in config.get("Binds", [])}
    for mount in config.get("Mounts", []):
        if mount.get("Type") == "bind":
            found.add(mount.get("Source", ""))
        options = mount.get("VolumeOptions", {}).get("DriverConfig", {})
        found.add(options.get("Options", {}).get("device", ""))
    return {path for path in found if path.startswith("/")}


def _files(config: dict[str, Any], caller: Caller, host: HostFacts, site: Site) -> None:
    for bind in config.get("Binds", []):
        parts = bind.split(":")
        if parts[0].startswith("/") and len(parts) > 1:
            is_fixed = "ro" in ",".join(parts[2:]).split(",")
            check_source(parts[0], caller, host, site, read_only=is_fixed)
        _check_volume_name(parts[0], caller)
        _check_target(parts[1] if len(parts) > 1 else parts[0])
        if {"shared", "rshared"} & set(",".join(parts[2:]).split(",")):
            raise RefusalError("mount", "shared mount propagation is not allowed here")
    for mount in config.get("Mounts", []):
        kind = mount.get("Type", "")
        if kind == "bind":
            is_fixed = mount.get("ReadOnly", False)
            check_source(
                mount.get("Source", ""), caller, host, site, read_only=is_fixed
            )
            options = mount.get("BindOptions", {})
            if options.get("Propagation", "") in {"shared", "rshared"}:
                raise RefusalError(
                    "mount", "shared mount propagation is not allowed here"
                )
        elif kind == "volume":
            driver = mount.get("VolumeOptions", {}).get("DriverConfig", {})
            _check_volume_name(mount.get("Source", ""), caller)
            check_volume(
                driver.get("Name", ""), driver.get("Options", {}), caller, host, site
            )
        elif kind not in {"tmpfs", "image"}:
            raise RefusalError("mount", f"mount type '{kind}' is not allowed here")
        _check_target(mount.get("Target", ""))
    for target in config.get("Tmpfs", {}):
        _check_target(target)
    if config.get("VolumeDriver", "") not in {"", "local"}:
        raise RefusalError("volume", "only local volumes are allowed on this server")
    if config.get("VolumesFrom") and not caller.private:
        raise RefusalError("volume", "other containers' volumes are not allowed here")


def _check_volume_name(name: str, caller: Caller) -> None:
    """Refuse the volume in which DS01 keeps another user's installer and packages."""
    match = _PACKAGES.fullmatch(name)
    if match and caller.uid and match[1] != str(caller.uid):
        raise RefusalError(
            "volume",
            f"volume '{name}' is another user's: images are built with what is in it",
            "use a volume of your own",
        )


def check_source(
    path: str, caller: Caller, host: HostFacts, site: Site, *, read_only: bool = False
) -> None:
    """Refuse a folder of the host that leads out of the container."""
    guarded = protected_path(path, caller, host, site, read_only=read_only)
    if guarded == host.engine_socket or posixpath.basename(path) == "docker.sock":
        raise RefusalError(
            "mount",
            f"'{path}' cannot be mounted: it leads to the Docker engine's socket, "
            "which is the whole server",
            "mount a folder of your own",
        )
    if guarded:
        is_readable = not read_only and not protected_path(
            path, caller, host, site, read_only=True
        )
        raise RefusalError(
            "mount",
            f"'{path}' cannot be mounted: '{guarded}' belongs to the server",
            "mount it read-only (:ro)" if is_readable else "mount a folder of your own",
        )


def check_volume(
    driver: str,
    options: dict[str, str],
    caller: Caller,
    host: HostFacts,
    site: Site,
) -> None:
    """Refuse volumes that are a mount of the host in disguise."""
    if driver not in {"", "local"}:
        raise RefusalError(
            "volume",
            f"volume driver '{driver}' is not allowed on this server",
            "use the driver 'local'",
        )
    kind = options.get("type", "")
    device = options.get("device", "")
    if kind == "tmpfs" or not (kind or device):
        return
    if kind not in _LOCAL_MOUNTS or not device.startswith("/"):
        raise not_allowed("volume", f"volumes of type '{kind}' are")
    flags = options.get("o", "").split(",")
    if kind != "bind" and not {"bind", "rbind"} & set(flags):
        # Without `bind` the device is a disk.
        raise RefusalError("volume", f"disk '{device}' cannot be mounted as a volume")
    check_source(device, caller, host, site)


def _check_target(target: str) -> None:
    if _GPU_MOUNTS.match(posixpath.normpath(target).replace("//", "/")):
        raise RefusalError(
            "mount",
            f"'{target}' cannot be a mount: it would ask for GPUs",
            "ask for GPUs with --gpus",
        )


def _life(config: dict[str, Any], notes: Notes) -> None:
    policy = config.get("RestartPolicy", {}).get("Name", "")
    if policy not in {"", "no"}:
        notes.tell("restart", f"restart policy '{policy}' is left out: restart by hand")
    config["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
    config["Init"] = True

"""ds01-doctor: each check on facts, the exit status, and the probes on real folders."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ds01.core.errors import Exit
from ds01.core.paths import PROJECT_ROOT, Paths
from ds01.doctor import checks, probe, upkeep
from ds01.doctor import facts as doctor_facts
from ds01.doctor.config import Verdict
from ds01.doctor.facts import DriverFacts, EngineFacts, Facts, Finding, Unknown
from ds01.gpus.devices.types import Device
from ds01.gpus.ledger.device_states import DeviceState
from ds01.records.pass_entries import PassInfo
from fake_gpus import a100_40, topology
from gpu_bench import FakeDriver
from gpu_world import make_paths

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=timezone.utc)
GIB = 1 << 30
ENGINE = EngineFacts(
    "28.1.1", "1.49", "systemd", "2", "runc", ("runc", "nvidia"), Path("/data")
)
GPU = Device("GPU-1", "GPU-1", "full", 40 * GIB, index="0")
MIG = Device("MIG-1", "GPU-2", "1g.5gb", 5 * GIB, 1, 7, index="1:0")
DRIVER = DriverFacts(
    "550.90.07", "550.90.07", None, (DeviceState(GPU, "free"), DeviceState(MIG, "free"))
)
FOLDER = doctor_facts.FolderFacts(Path("/var/lib/ds01"), True, 0o2775, "docker", True)
HOOK = doctor_facts.HookFacts(Path("/h/container-run/pre-1"), True, True, False)

SOUND = Facts(
    now=NOW,
    uid=0,
    user="root",
    is_system=True,
    address="unix:///var/run/docker.sock",
    engine=ENGINE,
    driver=DRIVER,
    toolkit=doctor_facts.ToolkitFacts("/usr/bin/nvidia-container-runtime-hook", ""),
    cron=doctor_facts.CronFacts(Path("/etc/cron.d/ds01"), True, True),
    last_pass=PassInfo(NOW - timedelta(minutes=2), 0.31),
    folders=(FOLDER,),
    documents=(),
    disks=(
        doctor_facts.DiskFacts("engine", Path("/data"), 100 * GIB, 50 * GIB, 10**6),
    ),
    verdicts=(Verdict(Path("/etc/ds01/ds01.yaml")),),
    catalog=("CUDA_ADA", 7),
    mlc=doctor_facts.MlcFacts(Path("/mlc"), True, "2.1.2"),
    hooks=(HOOK,),
    uv=("0.9.1", True),
    missing=(),
    parts=(doctor_facts.PartFacts(Path("/etc/cron.d/ds01"), "ok"),),
    metrics=doctor_facts.MetricsFacts(Path("/m"), NOW - timedelta(minutes=2)),
    min_free=20 * GIB,
)


def facts(**changes: Any) -> Facts:
    return replace(SOUND, **changes)


def with_engine(**changes: Any) -> Facts:
    return facts(engine=replace(ENGINE, **changes))


def with_driver(**changes: Any) -> Facts:
    return facts(driver=replace(DRIVER, **changes))


def with_device(state: Any, why: str = "", device: Device = GPU) -> Facts:
    return with_driver(devices=(DeviceState(device, state, why=why),))


def test_all_is_in_order_and_every_check_says_what_it_saw() -> None:
    for name, finding in checks.examine(SOUND):
        assert finding.level == "ok", (name, finding)
        assert finding.text
    assert checks.exit_status([f for _, f in checks.examine(SOUND)]) == Exit.OK


Check = Callable[[Facts], Finding]
UNKNOWN = Unknown("no permission to use the Docker engine at 'unix:///x'")

# The check, facts, level, a part of the text, a part of what mends it.
CASES: tuple[tuple[Check, Facts, str, str, str], ...] = (
    (
        checks.engine,
        facts(
            engine=Unknown(
                "no Docker engine answers at 'unix:///x'", "sudo systemctl start docker"
            )
        ),
        "error",
        "no Docker engine answers",
        "systemctl start docker",
    ),
    (
        checks.engine,
        facts(engine=Unknown("the engine says: client version 1.41 is too old")),
        "error",
        "client version 1.41 is too old",
        "docker version",
    ),
    (
        checks.engine,
        facts(engine=UNKNOWN, user="alice", engine_group="gpu"),
        "error",
        "no permission",
        "sudo usermod -aG gpu alice",
    ),
    (
        checks.engine,
        with_engine(version="19.03.1", api="1.40"),
        "error",
        "19.03.1 is older",
        "apt-get install",
    ),
    (checks.cgroups, facts(engine=UNKNOWN), "unknown", "does not answer", ""),
    (
        checks.cgroups,
        with_engine(cgroup_driver="none"),
        "error",
        "cannot limit containers",
        "rootless",
    ),
    (
        checks.cgroups,
        with_engine(lacks=("swap",), cgroup_version="1"),
        "warning",
        "cgroup v1, driver systemd: the kernel cannot limit swap",
        "docker info",
    ),
    (
        checks.cgroups,
        with_driver(char_links=("/dev/nvidia0",)),
        "warning",
        "daemon-reload",
        "create-dev-char-symlinks",
    ),
    (
        checks.cgroups,
        replace(
            with_driver(char_links=("/dev/nvidia0",)),
            engine=replace(ENGINE, cgroup_driver="cgroupfs"),
        ),
        "ok",
        "cgroupfs",
        "",
    ),
    (
        checks.runtime,
        facts(
            toolkit=doctor_facts.ToolkitFacts(None, None),
            engine=replace(ENGINE, runtimes=()),
        ),
        "error",
        "no container can have a GPU",
        "nvidia-container-toolkit",
    ),
    (
        checks.runtime,
        facts(toolkit=doctor_facts.ToolkitFacts(Unknown("only root sees"), None)),
        "ok",
        "only root sees",
        "",
    ),
    (
        checks.runtime,
        facts(
            toolkit=doctor_facts.ToolkitFacts(Unknown("only root sees"), None),
            engine=replace(ENGINE, runtimes=("runc",)),
        ),
        "unknown",
        "only root sees",
        "",
    ),
    (
        checks.runtime,
        facts(driver=DriverFacts(), toolkit=doctor_facts.ToolkitFacts(None, None)),
        "ok",
        "no NVIDIA GPU",
        "",
    ),
    (
        checks.default_runtime,
        with_engine(default_runtime="nvidia"),
        "warning",
        "default runtime",
        "--set-as-default=false",
    ),
    (
        checks.envvar,
        facts(
            toolkit=doctor_facts.ToolkitFacts(
                "/hook",
                "#x\naccept-nvidia-visible-devices-envvar-when-unprivileged = false\n",
            )
        ),
        "warning",
        "is false",
        "when-unprivileged=true",
    ),
    (
        checks.envvar,
        facts(
            toolkit=doctor_facts.ToolkitFacts(
                "/hook",
                "#accept-nvidia-visible-devices-envvar-when-unprivileged = false\n",
            )
        ),
        "ok",
        "",
        "",
    ),
    (
        checks.envvar,
        facts(toolkit=doctor_facts.ToolkitFacts("/hook", Unknown("cannot be read"))),
        "unknown",
        "cannot be read",
        "",
    ),
    (
        checks.driver,
        with_driver(
            error="the NVIDIA driver and its library are of different versions, as "
            "after an upgrade without a reboot",
            library="550.127.05",
        ),
        "error",
        "module 550.90.07, library 550.127.05",
        "sudo reboot",
    ),
    (
        checks.driver,
        with_driver(error="the NVIDIA driver is not loaded"),
        "error",
        "not loaded",
        "modprobe",
    ),
    (
        checks.driver,
        with_driver(library="550.127.05"),
        "warning",
        "differ",
        "sudo reboot",
    ),
    (checks.driver, facts(driver=Unknown("why")), "unknown", "why", ""),
    (
        checks.devices,
        with_device("sick", "it has fallen off the bus"),
        "warning",
        "0 is sick (it has fallen off the bus)",
        "gpu-status",
    ),
    (checks.devices, with_driver(error="x"), "unknown", "the driver does", ""),
    (checks.devices, with_driver(devices=()), "ok", "no GPU", ""),
    (
        checks.mig,
        with_device("mig-empty", "no MIG instances"),
        "warning",
        "GPU 0 is in MIG mode and has no instances",
        "nvidia-smi mig -i 0 -lgip",
    ),
    (
        checks.mig,
        with_driver(devices=(DeviceState(GPU, "free"),)),
        "ok",
        "no GPU is",
        "",
    ),
    (
        upkeep.cron,
        facts(cron=doctor_facts.CronFacts(Path("/etc/cron.d/ds01"), False, True)),
        "error",
        "nothing calls the lifecycle pass",
        "install.sh",
    ),
    (
        upkeep.cron,
        facts(cron=doctor_facts.CronFacts(Path("/etc/cron.d/ds01"), True, False)),
        "error",
        "no cron daemon runs; the last lifecycle pass was 2m ago",
        "enable --now cron",
    ),
    (
        upkeep.cron,
        facts(
            cron=doctor_facts.CronFacts(Path("/etc/cron.d/ds01"), True, False, False)
        ),
        "error",
        "no cron daemon runs; the last lifecycle pass was 2m ago",
        "sudo cron",
    ),
    (
        upkeep.cron,
        facts(last_pass=PassInfo(NOW - timedelta(hours=5))),
        "error",
        "was 5h ago",
        "ds01-lifecycle",
    ),
    (upkeep.cron, facts(last_pass=PassInfo()), "error", "was never", ""),
    (
        upkeep.cron,
        facts(last_pass=PassInfo(NOW, 1, "the driver does not answer")),
        "warning",
        "did nothing: the driver does not answer",
        "--dry-run",
    ),
    (
        upkeep.cron,
        facts(last_pass=PassInfo(), is_system=False),
        "warning",
        "for one user",
        "crontab",
    ),
    (
        upkeep.cron,
        facts(is_system=False, cron=doctor_facts.CronFacts(Path("/x"), False, False)),
        "ok",
        "2m ago",
        "",
    ),
    (
        upkeep.rights,
        facts(folders=(doctor_facts.FolderFacts(Path("/l"), False),)),
        "error",
        "'/l' does not exist",
        "install.sh",
    ),
    (
        upkeep.rights,
        facts(folders=(replace(FOLDER, mode=0o755),)),
        "error",
        "mode 755",
        "chmod 2775 /var/lib/ds01",
    ),
    (
        upkeep.rights,
        facts(folders=(replace(FOLDER, mode=0o755),), is_system=False),
        "ok",
        "",
        "",
    ),
    (
        upkeep.rights,
        facts(folders=(replace(FOLDER, group="root"),)),
        "error",
        "group 'root' and not to 'docker'",
        "chgrp -R docker",
    ),
    (
        upkeep.rights,
        facts(folders=(replace(FOLDER, writable=False),), uid=1000, user="alice"),
        "error",
        "you cannot write",
        "usermod -aG docker alice",
    ),
    (
        upkeep.rights,
        facts(folders=(replace(FOLDER, problem=Path("/var/lib/ds01/x.json")),)),
        "error",
        "'/var/lib/ds01/x.json' cannot be written",
        "chmod g+rw",
    ),
    (
        upkeep.records,
        facts(documents=((Path("/s/gpu-state.json"), "version 'x'"),)),
        "warning",
        "version 'x'",
        "sudo mv /s/gpu-state.json",
    ),
    (
        upkeep.disk,
        facts(
            disks=(doctor_facts.DiskFacts("engine", Path("/d"), 100 * GIB, GIB // 2),)
        ),
        "error",
        "only 512m free in '/d'",
        "docker system df",
    ),
    (
        upkeep.disk,
        facts(
            disks=(doctor_facts.DiskFacts("state", Path("/d"), 100 * GIB, 9 * GIB, 5),)
        ),
        "error",
        "only 5 files more",
        "df -i /d",
    ),
    (
        upkeep.disk,
        facts(
            disks=(doctor_facts.DiskFacts("engine", Path("/d"), 100 * GIB, 9 * GIB),)
        ),
        "warning",
        "no image is built below 20g",
        "docker system df",
    ),
    # A small file system of its own for the log is none of 1 GiB.
    (
        upkeep.disk,
        facts(disks=(doctor_facts.DiskFacts("log", Path("/d"), GIB // 2, GIB // 4),)),
        "ok",
        "log 256m free",
        "",
    ),
    (
        upkeep.policy,
        facts(verdicts=(Verdict(Path("/p"), ("p:3: wrong", "p:4: too")),)),
        "error",
        "p:3: wrong (and 1 more)",
        "ds01-config check",
    ),
    (
        upkeep.policy,
        facts(verdicts=(Verdict(Path("/p"), (), None, ("odd",)),)),
        "warning",
        "odd",
        "ds01-config check",
    ),
    (
        upkeep.catalog,
        facts(catalog=Unknown("the catalog is broken", "cmd")),
        "error",
        "the catalog is broken",
        "cmd",
    ),
    (upkeep.catalog, facts(catalog=("ROCM5", 0)), "warning", "ROCM5", ""),
    (
        upkeep.mlc,
        facts(
            mlc=doctor_facts.MlcFacts(
                Path("/m"), False, Unknown("does not start", "cmd")
            )
        ),
        "error",
        "does not start",
        "cmd",
    ),
    (
        upkeep.hooks,
        facts(hooks=(replace(HOOK, executable=False),)),
        "error",
        "so that its command refuses",
        "chmod a+rx /h/container-run/pre-1",
    ),
    (
        upkeep.hooks,
        facts(hooks=(replace(HOOK, path=Path("/h/c/post-1"), executable=False),)),
        "warning",
        "cannot be run",
        "chmod a+rx",
    ),
    (
        upkeep.hooks,
        facts(hooks=(replace(HOOK, command_exists=False),)),
        "warning",
        "no command 'container-run'",
        "rm -r /h/container-run",
    ),
    (
        upkeep.hooks,
        facts(hooks=(HOOK, replace(HOOK, writable_by_others=True))),
        "error",
        "everybody can change",
        "chmod go-w",
    ),
    (upkeep.uv, facts(uv=(None, False)), "error", "no image can be built", ""),
    (upkeep.uv, facts(uv=("1", False)), "ok", "made by the first build", ""),
    (upkeep.uv, facts(uv=Unknown("down")), "unknown", "down", ""),
    (
        upkeep.programs,
        facts(missing=("jq", "git")),
        "error",
        "jq, git",
        "apt-get install jq git",
    ),
    (
        upkeep.parts,
        facts(
            parts=(doctor_facts.PartFacts(Path("/etc/profile.d/ds01.sh"), "missing"),)
        ),
        "warning",
        "missing: /etc/profile.d/ds01.sh",
        "install.sh",
    ),
    (
        upkeep.parts,
        facts(parts=(doctor_facts.PartFacts(Path("/etc/cron.d/ds01"), "differs"),)),
        "ok",
        "changed by the administrator",
        "",
    ),
    (upkeep.metrics, facts(metrics=doctor_facts.MetricsFacts(None)), "ok", "not", ""),
    (
        upkeep.metrics,
        facts(metrics=doctor_facts.MetricsFacts(Path("/m"), NOW - timedelta(days=1))),
        "warning",
        "not any more",
        "ds01-lifecycle",
    ),
    (
        upkeep.metrics,
        facts(metrics=doctor_facts.MetricsFacts(Path("/m"))),
        "warning",
        "never",
        "",
    ),
)


@pytest.mark.parametrize(("check", "given", "level", "text", "fix"), CASES)
def test_a_check(check: Check, given: Facts, level: str, text: str, fix: str) -> None:
    found = check(given)
    assert found.level == level, found
    assert text in found.text
    assert fix in found.fix
    if level in {"error", "warning"}:
        # A command that can be typed, and not a sentence.
        assert re.match(r"[a-z(]", found.fix), found.fix


def test_every_check_has_a_case_that_fails() -> None:
    tried = {check for check, _, level, _, _ in CASES if level != "ok"}
    assert tried == set(checks.CHECKS.values())


def test_the_exit_status_is_that_of_the_worst() -> None:
    fine, odd = Finding("ok", ""), Finding("warning", "")
    config = Finding("error", "", is_config=True)
    missing = Finding("error", "")
    assert checks.exit_status([fine, odd, Finding("unknown", "")]) == Exit.OK
    assert checks.exit_status([fine, config, odd]) == Exit.CONFIG
    assert checks.exit_status([config, missing, odd]) == Exit.PREREQUISITE


def test_the_report_for_people() -> None:
    found = checks.examine(facts(missing=("jq",), engine=UNKNOWN))
    text = checks.report(found, colour=False)
    assert "error    programs         programs are missing: jq\n" in text
    assert "-> sudo apt-get install jq\n" in text
    assert text.endswith("\n2 errors, 3 could not be checked\n")
    assert "\033" not in text
    assert "\033[31merror" in checks.report(found, colour=True)
    assert checks.report(checks.examine(SOUND), False).endswith("is in order\n")


def test_the_docs_list_the_checks() -> None:
    text = (PROJECT_ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    for name in checks.CHECKS:
        assert re.search(rf"\| `{name}` \| .+ \|\n", text)
    assert text.count("\n| `") == len(checks.CHECKS) + text.count("\n| `ds01_")


# Probes --------------------------------------------------------------------------


def test_the_command_in_a_hint() -> None:
    assert probe.typed("run 'sudo x', or ask") == "sudo x"
    assert probe.typed("set 'mlc_home' in ds01.yaml") == ""
    assert probe.typed(None) == ""


def test_rights_of_a_folder(tmp_path: Path) -> None:
    assert not probe.read_folder(tmp_path / "none").is_there
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o2775)
    (folder / "a.json").write_text("{}")
    (folder / "a.json").chmod(0o664)
    (folder / "notes.txt").write_text("")
    (folder / "notes.txt").chmod(0o600)
    found = probe.read_folder(folder)
    assert found.mode == 0o2775
    assert found.problem is None
    (folder / "b.lock").write_text("")
    (folder / "b.lock").chmod(0o644)
    assert probe.read_folder(folder).problem == folder / "b.lock"
    (folder / "b.lock").rename(folder / "lifecycle.json")
    assert probe.read_folder(folder).problem is None


def test_documents_that_cannot_be_used(tmp_path: Path) -> None:
    paths = make_paths(tmp_path)
    assert list(probe.broken_documents(paths)) == []
    (paths.state / "gpu-state.json").write_text('{"version": "x"}')
    (paths.state / "lifecycle.json").write_text("{")
    (paths.metadata / "a._.1.json").write_text("[")
    (paths.metadata / "b._.1.json").write_text("{}")
    found = [path.name for path, _ in probe.broken_documents(paths)]
    assert found == ["gpu-state.json", "lifecycle.json", "a._.1.json"]


def test_hooks(tmp_path: Path) -> None:
    assert probe.read_hooks(tmp_path / "none") == ()
    for name, mode in (
        ("container-run/pre-1", 0o755),
        ("container-run/post-2", 0o750),
        ("no-such/pre-x", 0o757),
        ("container-run/README", 0o600),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(mode)
    found = probe.read_hooks(tmp_path)
    assert not isinstance(found, Unknown)
    told = {
        (h.path.name, h.command_exists, h.executable, h.writable_by_others)
        for h in found
    }
    assert told == {
        ("pre-1", True, True, False),
        ("post-2", True, False, False),
        ("pre-x", False, True, True),
    }


def test_parts_of_the_system(tmp_path: Path) -> None:
    kinds = {part.path.name: part.state for part in probe.read_parts(tmp_path)}
    assert set(kinds.values()) == {"missing"}
    source = PROJECT_ROOT / "config/profile.d/ds01.sh"
    (tmp_path / "profile.d").mkdir()
    own = tmp_path / "profile.d/ds01.sh"
    own.write_bytes(source.read_bytes())
    states = {p.path: p.state for p in probe.read_parts(tmp_path)}
    assert states[own] == "ok"
    own.write_text("# mine\n")
    states = {p.path: p.state for p in probe.read_parts(tmp_path)}
    assert states[own] == "differs"


# Only root may make device nodes.
@pytest.mark.engine
def test_links_to_device_nodes(tmp_path: Path) -> None:
    (tmp_path / "char").mkdir()
    (tmp_path / "nvidia-caps").mkdir()
    for minor in (0, 255):
        node = tmp_path / f"nvidia{minor}"
        os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(195, minor))
    (tmp_path / "char/195:0").symlink_to("../nvidia0")
    found = list(probe.missing_links(tmp_path))
    assert found == [str(tmp_path / "nvidia255")]


def test_disks_are_told_once_each(tmp_path: Path) -> None:
    paths = make_paths(tmp_path)
    found = list(probe.read_disks(paths, UNKNOWN))
    assert found[0].place == "state"
    assert 0 < found[0].free <= found[0].size
    devices = [disk.path.stat().st_dev for disk in found]
    assert len(devices) == len(set(devices))


def run_doctor(env: dict[str, str], *words: str) -> tuple[int, dict[str, Any]]:
    import subprocess

    done = subprocess.run(
        [PROJECT_ROOT / "bin/ds01-doctor", "--json", *words],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert answer["exit"] == done.returncode
    return done.returncode, {check["check"]: check for check in answer["checks"]}


@pytest.fixture
def layout(tmp_path: Path) -> Paths:
    root = tmp_path / "a root"
    paths = Paths(root / "etc/ds01", root / "var/lib/ds01", root / "var/log/ds01")
    for folder in (paths.etc, paths.state, paths.metadata, paths.log):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o2775)
    for file in (PROJECT_ROOT / "config").iterdir():
        if file.is_file():
            (paths.etc / file.name).write_bytes(file.read_bytes())
    return paths


def test_a_driver_out_of_step_and_an_engine_that_is_not_there(
    layout: Paths, fake_driver: FakeDriver
) -> None:
    env = {
        **fake_driver.variables,
        "DS01_ROOT": str(layout.etc.parents[1]),
        "DOCKER_HOST": f"unix://{layout.state}/none.sock",
    }
    fake_driver.write(topology([a100_40()]))
    status, found = run_doctor(env)
    assert status == Exit.PREREQUISITE
    assert found["engine"]["level"] == "error"
    assert found["driver"]["level"] == "ok"
    assert found["policy"]["level"] == "ok"
    assert found["mlc"]["level"] == "ok"
    assert set(found) == set(checks.CHECKS)
    fake_driver.write(
        {**topology([a100_40()]), "faults": {"nvmlInit": "lib_rm_version_mismatch"}}
    )
    (layout.policy).write_text("version: 1\nnonsense: 1\n")
    _, found = run_doctor(env)
    assert found["driver"]["fix"] == "sudo reboot"
    assert found["gpus"]["level"] == "unknown"
    assert "nonsense" in found["policy"]["text"]


@pytest.mark.engine
def test_the_benchs_engine(layout: Paths, docker_host: str) -> None:
    env = {"DS01_ROOT": str(layout.etc.parents[1]), "DOCKER_HOST": docker_host}
    _, found = run_doctor(env)
    for name in ("engine", "cgroups", "default-runtime", "disk"):
        assert found[name]["level"] in {"ok", "warning"}, found[name]
    assert docker_host in found["engine"]["text"]
    assert "driver" in found["cgroups"]["text"]

"""The simulated driver under the unmodified pynvml: values, faults, re-reading."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fake_gpus
from fake_gpus import a100_40, a100_80, process, topology
from gpu_bench import FakeDriver
from nvml_probe import Probe


class TestDevices:
    def test_nothing_works_before_the_start(self, probe: Probe) -> None:
        assert probe.error("nvmlDeviceGetCount()") == "Uninitialized"
        assert probe("nvmlInit()") is None
        assert probe("nvmlDeviceGetCount()") == 0
        assert probe("nvmlShutdown()") is None
        assert probe.error("nvmlDeviceGetCount()") == "Uninitialized"

    def test_says_what_it_is(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        made = fake_driver.write(topology([a100_40(), a100_80()]))
        assert nvml("nvmlSystemGetDriverVersion()") == "550.54.15"
        assert nvml("nvmlSystemGetNVMLVersion()") == "12.550.54.15"
        assert nvml("nvmlSystemGetCudaDriverVersion()") == 12040
        assert nvml("nvmlDeviceGetCount()") == 2
        second = made["gpus"][1]
        assert nvml("nvmlDeviceGetUUID(gpu(1))") == second["uuid"]
        assert nvml("nvmlDeviceGetName(gpu(1))") == "NVIDIA A100-SXM4-80GB"
        assert nvml("nvmlDeviceGetIndex(gpu(1))") == 1
        assert nvml("nvmlDeviceGetMinorNumber(gpu(1))") == 1
        assert nvml("nvmlDeviceGetSerial(gpu(1))") == second["serial"]
        assert nvml("nvmlDeviceGetArchitecture(gpu(1)) == NVML_DEVICE_ARCH_AMPERE")
        assert nvml("nvmlDeviceGetCudaComputeCapability(gpu(1))") == [8, 0]

    def test_finds_a_gpu_by_each_of_its_names(
        self, nvml: Probe, fake_driver: FakeDriver
    ) -> None:
        one = fake_driver.write(topology([a100_40(), a100_40()]))["gpus"][1]
        for call in (
            f"nvmlDeviceGetHandleByUUID(b'{one['uuid']}')",
            f"nvmlDeviceGetHandleByPciBusId(b'{one['pci']}')",
            f"nvmlDeviceGetHandleByPciBusId(b'{one['pci'][4:]}')",
            f"nvmlDeviceGetHandleBySerial(b'{one['serial']}')",
        ):
            assert nvml(f"nvmlDeviceGetIndex({call})") == 1
        assert nvml.error("nvmlDeviceGetHandleByUUID(b'GPU-0')") == "Not Found"
        assert nvml.error("nvmlDeviceGetHandleByPciBusId(b'99:00.0')") == "Not Found"
        assert nvml.error("gpu(2)") == "Invalid Argument"

    def test_pci(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        fake_driver.write(topology([a100_40(pci="00000001:C7:00.0")]))
        third = nvml("fields(nvmlDeviceGetPciInfo_v3(gpu(0)))")
        assert third["busId"] == "00000001:C7:00.0"
        assert third["busIdLegacy"] == "0001:C7:00.0"
        assert (third["domain"], third["bus"], third["pciDeviceId"]) == (
            1,
            0xC7,
            0x20B010DE,
        )

    def test_memory_is_what_processes_hold(
        self, nvml: Probe, fake_driver: FakeDriver
    ) -> None:
        one = a100_40(processes=[process(1, 1000), process(2, 500, kind="graphics")])
        fake_driver.write(topology([{**one, "memory_reserved_mib": 100}]))
        mib = 1 << 20
        first = nvml("fields(nvmlDeviceGetMemoryInfo(gpu(0)))")
        assert first == {
            "total": 40960 * mib,
            "used": 1600 * mib,
            "free": 39360 * mib,
        }
        second = nvml("fields(nvmlDeviceGetMemoryInfo(gpu(0), version=nvmlMemory_v2))")
        assert (second["used"], second["reserved"]) == (1500 * mib, 100 * mib)

    def test_load_heat_power_and_clocks(
        self, nvml: Probe, fake_driver: FakeDriver
    ) -> None:
        fake_driver.write(
            topology([a100_40(utilisation={"gpu": 87, "memory": 40, "encoder": 3})])
        )
        assert nvml("fields(nvmlDeviceGetUtilizationRates(gpu(0)))") == {
            "gpu": 87,
            "memory": 40,
        }
        assert nvml("nvmlDeviceGetEncoderUtilization(gpu(0))")[0] == 3
        assert nvml.error("nvmlDeviceGetDecoderUtilization(gpu(0))") == "Not Supported"
        for call, expected in {
            "nvmlDeviceGetTemperature(gpu(0), 0)": 33,
            "nvmlDeviceGetTemperatureV(gpu(0), 0)": 33,
            "nvmlDeviceGetTemperatureThreshold(gpu(0), 1)": 89,
            "nvmlDeviceGetPowerUsage(gpu(0))": 55000,
            "nvmlDeviceGetEnforcedPowerLimit(gpu(0))": 400000,
            "nvmlDeviceGetClockInfo(gpu(0), NVML_CLOCK_MEM)": 1215,
            "nvmlDeviceGetMaxClockInfo(gpu(0), NVML_CLOCK_SM)": 1410,
            "nvmlDeviceGetPerformanceState(gpu(0))": 0,
            "nvmlDeviceGetPersistenceMode(gpu(0))": 1,
            "nvmlDeviceGetComputeMode(gpu(0))": 0,
        }.items():
            assert nvml(call) == expected, call
        # The card has no fan: it belongs to the chassis.
        assert nvml.error("nvmlDeviceGetFanSpeed(gpu(0))") == "Not Supported"

    def test_processes_by_kind(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        listed = [
            process(11, 1000, load=60),
            process(12, None),
            process(13, 5, kind="graphics"),
            process(14, 7, kind="mps"),
        ]
        fake_driver.write(topology([a100_40(processes=listed)]))
        for kind, pids in {
            "Compute": [11, 12],
            "Graphics": [13],
            "MPSCompute": [14],
        }.items():
            for version in ("_v2", "_v3"):
                call = f"nvmlDeviceGet{kind}RunningProcesses{version}(gpu(0))"
                assert nvml(f"[p.pid for p in {call}]") == pids, call
        memory = (
            "[p.usedGpuMemory for p in nvmlDeviceGetComputeRunningProcesses(gpu(0))]"
        )
        assert nvml(memory) == [1000 << 20, None]
        samples = (
            "[[s.pid, s.smUtil] for s in nvmlDeviceGetProcessUtilization(gpu(0), 0)]"
        )
        assert nvml(samples) == [[11, 60]]
        fake_driver.write(topology([a100_40()]))
        assert nvml("nvmlDeviceGetComputeRunningProcesses(gpu(0))") == []
        # The driver says so where nothing ran since.
        assert nvml.error("nvmlDeviceGetProcessUtilization(gpu(0), 0)") == "Not Found"

    def test_a_process_ends_with_the_machines(
        self, nvml: Probe, fake_driver: FakeDriver
    ) -> None:
        with subprocess.Popen(["sleep", "60"]) as child:
            one = process(child.pid, 300, while_alive=True)
            fake_driver.write(topology([a100_40(processes=[one])]))
            pids = "[p.pid for p in nvmlDeviceGetComputeRunningProcesses(gpu(0))]"
            assert nvml(pids) == [child.pid]
            child.kill()
            child.wait()
            assert nvml(pids) == []
            assert nvml("nvmlDeviceGetMemoryInfo(gpu(0)).used") == 0


class TestHealth:
    def test_memory_errors(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        made = topology([a100_40(), a100_40()])
        made["gpus"][0]["ecc"]["uncorrected"] = {"volatile": 2, "aggregate": 5}
        made["gpus"][0]["ecc"]["corrected"]["aggregate"] = 7
        made["gpus"][1]["ecc"] |= {"current": False}
        fake_driver.write(made)
        assert nvml("nvmlDeviceGetEccMode(gpu(0))") == [1, 1]
        count = "nvmlDeviceGetTotalEccErrors(gpu(0), {}, {})"
        kinds = [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert [nvml(count.format(*kind)) for kind in kinds] == [0, 7, 2, 5]
        detailed = "nvmlDeviceGetDetailedEccErrors(gpu(0), 1, 0).deviceMemory"
        assert nvml(detailed) == 2
        assert nvml("nvmlDeviceGetMemoryErrorCounter(gpu(0), 1, 1, 2)") == 5
        assert nvml("nvmlDeviceGetEccMode(gpu(1))") == [0, 1]
        call = "nvmlDeviceGetTotalEccErrors(gpu(1), 1, 0)"
        assert nvml.error(call) == "Not Supported"

    def test_remapped_rows(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        made = topology([a100_40(), a100_40(mig=["1g.5gb"]), a100_40(mig=[])])
        for one in made["gpus"]:
            one["remapped_rows"] |= {"uncorrectable": 3, "failure": True}
        fake_driver.write(made)
        assert nvml("nvmlDeviceGetRemappedRows(gpu(0))") == [0, 3, 0, 1]
        assert nvml("nvmlDeviceGetRemappedRows(gpu(2))") == [0, 3, 0, 1]
        # NVML documents that instances hide them.
        call = "nvmlDeviceGetRemappedRows(gpu(1))"
        assert nvml.error(call) == "Not Supported"
        nvml("fields := [nvmlDeviceGetFieldValues(gpu(i), [145])[0] for i in (0, 1)]")
        assert nvml("[field.nvmlReturn for field in fields]") == [0, 3]
        assert nvml("fields[0].value.uiVal") == 1
        made["gpus"][1]["remapped_rows"]["with_mig"] = True
        fake_driver.write(made)
        assert nvml(call) == [0, 3, 0, 1]

    def test_retired_pages(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        pages = {"single": [], "double": [4096, 8192], "pending": True}
        fake_driver.write(topology([a100_40(), a100_40(retired_pages=pages)]))
        # The A100 has none: it remaps rows.
        assert nvml.error("nvmlDeviceGetRetiredPages(gpu(0), 1)") == "Not Supported"
        call = "nvmlDeviceGetRetiredPagesPendingStatus(gpu(%d))"
        assert nvml.error(call % 0) == "Not Supported"
        assert nvml("nvmlDeviceGetRetiredPages(gpu(1), 0)") == []
        assert nvml("nvmlDeviceGetRetiredPages(gpu(1), 1)") == [4096, 8192]
        assert nvml(call % 1) == 1


class TestLinks:
    def test_pairs(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        made = topology([a100_40() for _ in range(3)])
        first, second, third = made["gpus"]
        made["links"] = [
            fake_gpus.link(second, first, nvlinks=4, level="node"),
            fake_gpus.link(second, third, level="single"),
        ]
        fake_driver.write(made)
        level = "nvmlDeviceGetTopologyCommonAncestor(gpu(%d), gpu(%d))"
        pairs = [(0, 1), (1, 0), (1, 2), (0, 2), (0, 0)]
        assert [nvml(level % pair) for pair in pairs] == [40, 40, 10, 50, 0]
        status = "nvmlDeviceGetP2PStatus(gpu(%d), gpu(%d), NVML_P2P_CAPS_INDEX_NVLINK)"
        assert [nvml(status % pair) for pair in pairs[:4]] == [0, 0, 5, 5]
        states = "[nvmlDeviceGetNvLinkState(gpu(0), i) for i in range(12)]"
        assert nvml(states) == [1] * 4 + [0] * 8
        remote = "nvmlDeviceGetNvLinkRemotePciInfo(gpu(0), 3).busId"
        assert nvml(remote) == second["pci"]
        assert nvml.error("nvmlDeviceGetNvLinkState(gpu(0), 12)") == "Not Supported"
        nearest = "nvmlDeviceGetTopologyNearestGpus(gpu(1), NVML_TOPOLOGY_SINGLE)"
        assert nvml(f"[nvmlDeviceGetIndex(one) for one in {nearest}]") == [2]

    def test_switches(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        fake_driver.write(topology([a100_40(), a100_40()], nvswitch=True))
        call = "nvmlDeviceGetP2PStatus(gpu(0), gpu(1), NVML_P2P_CAPS_INDEX_NVLINK)"
        assert nvml(call) == 0
        kind = "nvmlDeviceGetNvLinkRemoteDeviceType(gpu(0), 11)"
        assert nvml(f"{kind} == NVML_NVLINK_DEVICE_TYPE_SWITCH")


class TestFaults:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("driver_not_loaded", "Driver Not Loaded"),
            (
                "lib_rm_version_mismatch",
                "RM has detected an NVML/RM version mismatch.",
            ),
            ("no_permission", "Insufficient Permissions"),
            ("unknown", "Unknown Error"),
        ],
    )
    def test_no_start(
        self, probe: Probe, fake_driver: FakeDriver, name: str, text: str
    ) -> None:
        fake_driver.write(topology([a100_40()], faults={"nvmlInit": name}))
        assert probe.error("nvmlInit()") == text
        fake_driver.write(topology([a100_40()]))
        assert probe("nvmlInit()") is None
        assert probe("nvmlDeviceGetCount()") == 1

    def test_everything_fails(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        fake_driver.write(topology([a100_40()], faults={"*": "unknown"}))
        assert nvml.error("nvmlDeviceGetCount()") == "Unknown Error"
        assert nvml.error("nvmlInit()") == "Unknown Error"
        assert nvml("nvmlShutdown()") is None

    def test_a_lost_gpu_does_not_hide_the_others(
        self, nvml: Probe, fake_driver: FakeDriver
    ) -> None:
        made = fake_driver.write(topology([a100_40(mig=["1g.5gb"]), a100_40()]))
        nvml("lost := gpu(0)")
        nvml("lost_mig := mig(0, 0)")
        made["gpus"][0]["lost"] = True
        fake_driver.write(made)
        assert nvml("nvmlDeviceGetCount()") == 2
        for call in (
            "gpu(0)",
            "nvmlDeviceGetUUID(lost)",
            "nvmlDeviceGetMemoryInfo(lost)",
            "nvmlDeviceGetUUID(lost_mig)",
            f"nvmlDeviceGetHandleByUUID(b'{made['gpus'][0]['uuid']}')",
        ):
            assert nvml.error(call) == "GPU is lost", call
        assert nvml("nvmlDeviceGetUUID(gpu(1))") == made["gpus"][1]["uuid"]

    def test_faults_of_single_functions(
        self, nvml: Probe, fake_driver: FakeDriver
    ) -> None:
        made = topology(
            [a100_40(), a100_40(mig=["1g.5gb"])],
            faults={"nvmlDeviceGetTemperature": "not_supported"},
        )
        made["gpus"][0]["faults"] = {
            "nvmlDeviceGetComputeRunningProcesses": "no_permission",
            "nvmlDeviceGetMemoryInfo_v2": "timeout",
        }
        made["gpus"][1]["mig"]["instances"][0]["faults"] = {
            "*": "gpu_is_lost",
            "nvmlDeviceGetUUID": "success",
            "nvmlDeviceGetMigDeviceHandleByIndex": "success",
        }
        fake_driver.write(made)
        for index in (0, 1):
            call = f"nvmlDeviceGetTemperature(gpu({index}), 0)"
            assert nvml.error(call) == "Not Supported"
        call = "nvmlDeviceGetComputeRunningProcesses(gpu(%d))"
        assert nvml.error(call % 0) == "Insufficient Permissions"
        assert nvml(call % 1) == []
        memory = "nvmlDeviceGetMemoryInfo(gpu(0), version=%s).used"
        assert nvml.error(memory % "nvmlMemory_v2") == "Timeout"
        assert nvml(memory % "None") == 0
        assert nvml("nvmlDeviceGetUUID(mig(1, 0))").startswith("MIG-")
        assert nvml.error("nvmlDeviceGetMemoryInfo(mig(1, 0))") == "GPU is lost"

    def test_a_function_takes_its_time_without_keeping_others(
        self, fake_driver: FakeDriver
    ) -> None:
        made = topology([a100_40(), a100_40()])
        made["gpus"][0]["delays_ms"] = {"nvmlDeviceGetTemperature": 1000}
        fake_driver.write(made)
        order = fake_driver.python(
            "import threading, pynvml as n\n"
            "n.nvmlInit()\n"
            "a, b = (n.nvmlDeviceGetHandleByIndex(i) for i in (0, 1))\n"
            "def slow(): print(n.nvmlDeviceGetTemperature(a, 0), 'slow', flush=True)\n"
            "thread = threading.Thread(target=slow)\n"
            "thread.start()\n"
            "print(n.nvmlDeviceGetTemperature(b, 0), 'quick', flush=True)\n"
            "thread.join()\n"
        )
        assert order.split() == ["33", "quick", "33", "slow"]

    def test_an_unknown_function_is_not_found(self, nvml: Probe) -> None:
        assert nvml.error("nvmlSystemGetHicVersion()") == "Function Not Found"


class TestFile:
    def test_handles_mean_the_uuid(self, nvml: Probe, fake_driver: FakeDriver) -> None:
        made = fake_driver.write(topology([a100_40(), a100_80()]))
        nvml("one := gpu(0)")
        made["gpus"].reverse()
        made["gpus"][1]["temperature"] = 77
        fake_driver.write(made)
        assert nvml("nvmlDeviceGetIndex(one)") == 1
        assert nvml("nvmlDeviceGetTemperature(one, 0)") == 77
        fake_driver.write(topology())
        assert nvml.error("nvmlDeviceGetTemperature(one, 0)") == "GPU is lost"
        fake_driver.write(made)
        assert nvml("nvmlDeviceGetIndex(one)") == 1

    @pytest.mark.parametrize(
        "text",
        [
            "",
            '{"gpus": [{"uuid": "GPU-1"}',
            "[]",
            '{"gpus": [{"name": "x"}]}',
            '{"gpus": [], "faults": {"nvmlInit": "nonsense"}}',
        ],
    )
    def test_a_bad_file_leaves_the_last_good_one(
        self, nvml: Probe, fake_driver: FakeDriver, text: str
    ) -> None:
        fake_driver.write(topology([a100_40()]))
        assert nvml("nvmlDeviceGetCount()") == 1
        fake_driver.path.write_text(text)
        assert nvml("nvmlDeviceGetCount()") == 1
        fresh = fake_driver.python(
            "import pynvml as n\n"
            "try: n.nvmlInit()\n"
            "except n.NVMLError_DriverNotLoaded: print('none')"
        )
        assert fresh == "none\n"
        fake_driver.write(topology([a100_40(), a100_40()]))
        assert nvml("nvmlDeviceGetCount()") == 2
        fake_driver.path.unlink()
        assert nvml("nvmlDeviceGetCount()") == 2

    def test_no_file_is_no_driver(self, fake_driver: FakeDriver, probe: Probe) -> None:
        fake_driver.path.unlink()
        assert probe.error("nvmlInit()") == "Driver Not Loaded"

    def test_threads_and_a_writer(self, fake_driver: FakeDriver) -> None:
        """Threads read while the file changes under them, and each answer is whole."""
        code = (
            "import threading, pynvml as n\n"
            "n.nvmlInit()\n"
            "bad = []\n"
            "def read():\n"
            "    for _ in range(3000):\n"
            "        h = n.nvmlDeviceGetHandleByIndex(0)\n"
            "        m = n.nvmlDeviceGetMemoryInfo(h)\n"
            "        if m.total != m.used + m.free: bad.append(m)\n"
            "threads = [threading.Thread(target=read) for _ in range(8)]\n"
            "[t.start() for t in threads]\n"
            "[t.join() for t in threads]\n"
            "print(len(bad))\n"
        )
        fake_driver.write(topology([a100_40()]))
        with subprocess.Popen(
            [sys.executable, "-c", code],
            env=fake_driver.env,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            turns = 0
            while child.poll() is None:
                turns += 1
                held = [process(turns, turns % 40000)]
                fake_driver.write(topology([a100_40(processes=held)]))
            assert child.stdout is not None
            assert child.stdout.read() == "0\n"
        assert child.returncode == 0
        assert turns > 1

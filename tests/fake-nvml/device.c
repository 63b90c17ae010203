/* What a device measures: memory, load, processes, heat, power, clocks, memory errors. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "topology.h"

#define MIB (1024ULL * 1024ULL)

/* One number of a whole GPU. */
#define GPU_NUMBER(function, path)                                                        \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned int *value) {            \
        CALL_GPU(device);                                                                 \
        return get_uint(call.gpu, path, value);                                           \
    }

GPU_NUMBER(nvmlDeviceGetMinorNumber, "minor")
GPU_NUMBER(nvmlDeviceGetFanSpeed, "fan")
GPU_NUMBER(nvmlDeviceGetNumFans, "fans")
GPU_NUMBER(nvmlDeviceGetPowerUsage, "power.usage_mw")
GPU_NUMBER(nvmlDeviceGetEnforcedPowerLimit, "power.limit_mw")
GPU_NUMBER(nvmlDeviceGetPowerManagementLimit, "power.limit_mw")
GPU_NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, "power.limit_mw")
GPU_NUMBER(nvmlDeviceGetPersistenceMode, "persistence_mode")
GPU_NUMBER(nvmlDeviceGetPerformanceState, "performance_state")
GPU_NUMBER(nvmlDeviceGetPowerState, "performance_state")
GPU_NUMBER(nvmlDeviceGetDisplayMode, "display")
GPU_NUMBER(nvmlDeviceGetDisplayActive, "display")
GPU_NUMBER(nvmlDeviceGetBrand, "brand")
GPU_NUMBER(nvmlDeviceGetNumaNodeId, "numa_node")
GPU_NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, "pcie.generation")
GPU_NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, "pcie.generation")
GPU_NUMBER(nvmlDeviceGetCurrPcieLinkWidth, "pcie.width")
GPU_NUMBER(nvmlDeviceGetMaxPcieLinkWidth, "pcie.width")
GPU_NUMBER(nvmlDeviceGetRetiredPagesPendingStatus, "retired_pages.pending")

NVML_API nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, unsigned int *mode) {
    CALL_DEVICE(device);
    return get_uint(call.gpu, "compute_mode", mode);
}

NVML_API nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, unsigned int *architecture) {
    CALL_DEVICE(device);
    return get_uint(call.gpu, "architecture", architecture);
}

NVML_API nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
    CALL_DEVICE(device);
    nvmlReturn_t status = get_uint(call.gpu, "compute_capability.major", (unsigned int *)major);
    return status != NVML_SUCCESS ? status : get_uint(call.gpu, "compute_capability.minor", (unsigned int *)minor);
}

/* ---- processes ---- */

enum process_kind { COMPUTE, GRAPHICS, MPS };

/* A process that is bound to the machine's is gone when that is. */
static bool is_listed(json_t *process, enum process_kind kind) {
    static const char *const kinds[] = {"compute", "graphics", "mps"};
    char path[64];
    if (strcmp(text_or(process, "kind", "compute"), kinds[kind]) != 0) return false;
    if (!is_true(process, "while_alive")) return true;
    snprintf(path, sizeof path, "/proc/%u", uint_or(process, "pid", 0));
    return access(path, F_OK) == 0;
}

static unsigned long long memory_of(json_t *process) {
    unsigned long long mib;
    return get_ulong(process, "memory_mib", &mib) == NVML_SUCCESS ? mib * MIB : NVML_MEMORY_NOT_AVAILABLE;
}

struct process_list {
    nvmlProcessInfo_t *rows;
    unsigned int room, count;
};

static void add_processes(struct process_list *list, json_t *holder, enum process_kind kind, json_t *mig) {
    size_t i;
    json_t *process;
    json_array_foreach(json_object_get(holder, "processes"), i, process) {
        if (!is_listed(process, kind)) continue;
        if (list->rows != NULL && list->count < list->room) {
            list->rows[list->count] = (nvmlProcessInfo_t){
                .pid = uint_or(process, "pid", 0),
                .used_memory = memory_of(process),
                .gpu_instance = uint_or(mig, "gpu_instance", NVML_VALUE_NOT_AVAILABLE_ID),
                .compute_instance = uint_or(mig, "compute_instance", NVML_VALUE_NOT_AVAILABLE_ID),
            };
        }
        list->count++;
    }
}

/* A whole GPU in MIG mode lists the processes of all its instances. */
static void list_processes(struct call *call, enum process_kind kind, struct process_list *list) {
    size_t i;
    json_t *mig;
    if (call->mig != NULL) {
        add_processes(list, call->mig, kind, call->mig);
        return;
    }
    add_processes(list, call->gpu, kind, NULL);
    if (mig_enabled(call->gpu))
        json_array_foreach(instances_of(call->gpu), i, mig) add_processes(list, mig, kind, mig);
}

static nvmlReturn_t give_processes(struct call *call, enum process_kind kind, unsigned int *count, nvmlProcessInfo_t *rows) {
    NEED(count);
    struct process_list list = {.rows = rows, .room = *count};
    list_processes(call, kind, &list);
    bool fits = list.count == 0 || (rows != NULL && list.count <= list.room);
    *count = list.count;
    return fits ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

#define PROCESSES(function, kind)                                                                        \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_t *rows) { \
        CALL_DEVICE(device);                                                                             \
        return give_processes(&call, kind, count, rows);                                                 \
    }

PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, COMPUTE)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, COMPUTE)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, GRAPHICS)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, GRAPHICS)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, MPS)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v2, MPS)

NVML_API nvmlReturn_t nvmlDeviceGetProcessUtilization(
    nvmlDevice_t device, nvmlProcessUtilizationSample_t *rows, unsigned int *count, unsigned long long since) {
    size_t i;
    unsigned int found = 0;
    json_t *process;
    struct timespec now;
    CALL_GPU(device);
    NEED(count);
    if (mig_enabled(call.gpu)) return NVML_ERROR_NOT_SUPPORTED;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long time = (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
    json_array_foreach(json_object_get(call.gpu, "processes"), i, process) {
        if (value_at(process, "utilisation") == NULL || time <= since) continue;
        if (!is_listed(process, COMPUTE) && !is_listed(process, GRAPHICS) && !is_listed(process, MPS)) continue;
        if (rows != NULL && found < *count) {
            rows[found] = (nvmlProcessUtilizationSample_t){
                .pid = uint_or(process, "pid", 0),
                .time = time,
                .sm = uint_or(process, "utilisation.gpu", 0),
                .memory = uint_or(process, "utilisation.memory", 0),
                .encoder = uint_or(process, "utilisation.encoder", 0),
                .decoder = uint_or(process, "utilisation.decoder", 0),
            };
        }
        found++;
    }
    bool fits = rows != NULL && found <= *count;
    *count = found;
    if (found == 0) return NVML_ERROR_NOT_FOUND;
    return fits ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

/* ---- memory ---- */

static unsigned long long sum_of_processes(json_t *holder) {
    size_t i;
    json_t *process;
    unsigned long long sum = 0;
    json_array_foreach(json_object_get(holder, "processes"), i, process) {
        if (is_listed(process, COMPUTE) || is_listed(process, GRAPHICS) || is_listed(process, MPS))
            sum += ulong_or(process, "memory_mib", 0) * MIB;
    }
    return sum;
}

/* What the file says is in use, or else what the processes hold. */
static unsigned long long used_memory(json_t *holder) {
    size_t i;
    json_t *mig;
    unsigned long long mib;
    if (get_ulong(holder, "memory_used_mib", &mib) == NVML_SUCCESS) return mib * MIB;
    unsigned long long sum = sum_of_processes(holder);
    if (mig_enabled(holder)) json_array_foreach(instances_of(holder), i, mig) sum += used_memory(mig);
    return sum;
}

static nvmlReturn_t measure_memory(struct call *call, nvmlMemory_v2_t *memory) {
    json_t *holder = call->mig != NULL ? call->mig : call->gpu;
    nvmlReturn_t status = get_ulong(holder, "memory_mib", &memory->total);
    if (status != NVML_SUCCESS) return status;
    memory->total *= MIB;
    memory->reserved = ulong_or(holder, "memory_reserved_mib", 0) * MIB;
    memory->used = used_memory(holder);
    if (memory->used > memory->total - memory->reserved) memory->used = memory->total - memory->reserved;
    memory->free = memory->total - memory->reserved - memory->used;
    return NVML_SUCCESS;
}

/* The first version counts what the driver reserves as used. */
NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    nvmlMemory_v2_t measured;
    CALL_DEVICE(device);
    NEED(memory);
    nvmlReturn_t status = measure_memory(&call, &measured);
    if (status == NVML_SUCCESS)
        *memory = (nvmlMemory_t){measured.total, measured.free, measured.used + measured.reserved};
    return status;
}

NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
    CALL_DEVICE(device);
    NEED(memory);
    if (memory->version != NVML_VERSION(nvmlMemory_v2_t, 2)) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    return measure_memory(&call, memory);
}

NVML_API nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *memory) {
    CALL_DEVICE(device);
    NEED(memory);
    json_t *holder = call.mig != NULL ? call.mig : call.gpu;
    nvmlReturn_t status = get_ulong(holder, "bar1_mib", &memory->total);
    if (status != NVML_SUCCESS) return status;
    memory->total *= MIB;
    memory->used = ulong_or(holder, "bar1_used_mib", 1) * MIB;
    memory->free = memory->total - memory->used;
    return NVML_SUCCESS;
}

/* ---- load: not supported on MIG devices, nor on a GPU in MIG mode ---- */

NVML_API nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates) {
    CALL_GPU(device);
    NEED(rates);
    if (mig_enabled(call.gpu)) return NVML_ERROR_NOT_SUPPORTED;
    nvmlReturn_t status = get_uint(call.gpu, "utilisation.gpu", &rates->gpu);
    rates->memory = uint_or(call.gpu, "utilisation.memory", 0);
    return status;
}

#define ENGINE_LOAD(function, path)                                                                      \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned int *load, unsigned int *microseconds) { \
        CALL_GPU(device);                                                                                \
        NEED(microseconds);                                                                              \
        *microseconds = 167000;                                                                          \
        return mig_enabled(call.gpu) ? NVML_ERROR_NOT_SUPPORTED : get_uint(call.gpu, path, load);        \
    }

ENGINE_LOAD(nvmlDeviceGetEncoderUtilization, "utilisation.encoder")
ENGINE_LOAD(nvmlDeviceGetDecoderUtilization, "utilisation.decoder")

NVML_API nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, unsigned int direction, unsigned int *kib) {
    CALL_GPU(device);
    return get_uint(call.gpu, direction == 0 ? "pcie.sent_kib" : "pcie.received_kib", kib);
}

/* ---- heat, power, clocks ---- */

NVML_API nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned int sensor, unsigned int *degrees) {
    CALL_GPU(device);
    return sensor != 0 ? NVML_ERROR_INVALID_ARGUMENT : get_uint(call.gpu, "temperature", degrees);
}

NVML_API nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_v1_t *temperature) {
    CALL_GPU(device);
    NEED(temperature);
    if (temperature->version != NVML_VERSION(nvmlTemperature_v1_t, 1)) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    return get_uint(call.gpu, "temperature", (unsigned int *)&temperature->temperature);
}

NVML_API nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, unsigned int which, unsigned int *degrees) {
    static const char *const paths[] = {
        "temperature_limits.shutdown", "temperature_limits.slowdown", "temperature_limits.memory", "temperature_limits.gpu"};
    CALL_GPU(device);
    return which < sizeof paths / sizeof *paths ? get_uint(call.gpu, paths[which], degrees) : NVML_ERROR_NOT_SUPPORTED;
}

NVML_API nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int fan, unsigned int *percent) {
    CALL_GPU(device);
    if (fan >= uint_or(call.gpu, "fans", 1)) return NVML_ERROR_INVALID_ARGUMENT;
    return get_uint(call.gpu, "fan", percent);
}

NVML_API nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *millijoules) {
    CALL_GPU(device);
    return get_ulong(call.gpu, "power.energy_mj", millijoules);
}

static nvmlReturn_t clock_of(json_t *clocks, unsigned int type, unsigned int *mhz) {
    static const char *const names[] = {"graphics", "sm", "memory", "video"};
    return type < sizeof names / sizeof *names ? get_uint(clocks, names[type], mhz) : NVML_ERROR_INVALID_ARGUMENT;
}

NVML_API nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned int type, unsigned int *mhz) {
    CALL_GPU(device);
    return clock_of(value_at(call.gpu, "clocks"), type, mhz);
}

NVML_API nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, unsigned int type, unsigned int *mhz) {
    CALL_GPU(device);
    return clock_of(value_at(call.gpu, "max_clocks"), type, mhz);
}

NVML_API nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device, unsigned long long *reasons) {
    CALL_GPU(device);
    return get_ulong(call.gpu, "throttle_reasons", reasons);
}

NVML_API nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device, unsigned long long *reasons) {
    CALL_GPU(device);
    return get_ulong(call.gpu, "throttle_reasons", reasons);
}

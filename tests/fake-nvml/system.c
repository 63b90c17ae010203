/* Start and end, the driver's versions, error texts, and the ways to find a device. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "topology.h"

NVML_API nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    return topology_open();
}

NVML_API nvmlReturn_t nvmlInit_v2(void) {
    return topology_open();
}

NVML_API nvmlReturn_t nvmlInit(void) {
    return topology_open();
}

NVML_API nvmlReturn_t nvmlShutdown(void) {
    return topology_close();
}

NVML_API const char *nvmlErrorString(nvmlReturn_t status) {
    static const char *const texts[] = {
        "Success", "Uninitialized", "Invalid Argument", "Not Supported", "Insufficient Permissions",
        "Already Initialized", "Not Found", "Insufficient Size", "Insufficient External Power", "Driver Not Loaded",
        "Timeout", "Interrupt Request Issue", "NVML Shared Library Not Found", "Function Not Found",
        "Corrupted infoROM", "GPU is lost", "GPU requires reset", "Blocked by the Operating System",
        "Driver/library version mismatch", "In use by another client", "Insufficient Memory", "No data",
        "vGPU ECC not supported", "Insufficient Resources", "Frequency not supported", "Argument version mismatch",
        "Deprecated", "Not Ready", "No GPUs found", "Invalid State",
    };
    return status < sizeof texts / sizeof *texts ? texts[status] : "Unknown Error";
}

NVML_API nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    CALL_SYSTEM();
    return get_text(call.root, "driver.version", version, length);
}

NVML_API nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length) {
    CALL_SYSTEM();
    return get_text(call.root, "driver.nvml", version, length);
}

NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) {
    CALL_SYSTEM();
    return get_uint(call.root, "driver.cuda", (unsigned int *)version);
}

NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
    return nvmlSystemGetCudaDriverVersion(version);
}

/* The name of a process of this machine, as NVML reads it from the kernel. */
NVML_API nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length) {
    char path[64], words[1024] = "";
    CALL_SYSTEM();
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return NVML_ERROR_NOT_FOUND;
    words[fread(words, 1, sizeof words - 1, file)] = '\0';
    fclose(file);
    return put_text(words, name, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) {
    CALL_SYSTEM();
    NEED(count);
    *count = (unsigned int)json_array_size(gpus_of(call.root));
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetCount(unsigned int *count) {
    return nvmlDeviceGetCount_v2(count);
}

static nvmlReturn_t give(const char *function, json_t *gpu, json_t *mig, nvmlDevice_t *device) {
    nvmlReturn_t status = device_fault(gpu, mig, function);
    if (status == NVML_SUCCESS) *device = handle_of(DEVICE, gpu, mig);
    return status;
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    CALL_SYSTEM();
    NEED(device);
    json_t *gpu = json_array_get(gpus_of(call.root), index);
    return gpu == NULL ? NVML_ERROR_INVALID_ARGUMENT : give(__func__, gpu, NULL, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device) {
    return nvmlDeviceGetHandleByIndex_v2(index, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    size_t i, j;
    json_t *gpu, *mig;
    CALL_SYSTEM();
    NEED(device);
    NEED(uuid);
    json_array_foreach(gpus_of(call.root), i, gpu) {
        if (strcmp(text_or(gpu, "uuid", ""), uuid) == 0) return give(__func__, gpu, NULL, device);
        if (!mig_enabled(gpu)) continue;
        json_array_foreach(instances_of(gpu), j, mig) {
            if (strcmp(text_or(mig, "uuid", ""), uuid) == 0) return give(__func__, gpu, mig, device);
        }
    }
    return NVML_ERROR_NOT_FOUND;
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device) {
    size_t i;
    json_t *gpu;
    CALL_SYSTEM();
    NEED(device);
    NEED(serial);
    json_array_foreach(gpus_of(call.root), i, gpu) {
        if (strcmp(text_or(gpu, "serial", ""), serial) == 0) return give(__func__, gpu, NULL, device);
    }
    return NVML_ERROR_NOT_FOUND;
}

/* The numbers of "domain:bus:device.function"; the domain may be left out. */
static bool parse_pci(const char *text, unsigned int numbers[3]) {
    numbers[0] = 0;
    return sscanf(text, "%x:%x:%x.", &numbers[0], &numbers[1], &numbers[2]) == 3
        || sscanf(text, "%x:%x.", &numbers[1], &numbers[2]) == 2;
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device) {
    size_t i;
    json_t *gpu;
    unsigned int wanted[3], own[3];
    CALL_SYSTEM();
    NEED(device);
    NEED(bus_id);
    if (!parse_pci(bus_id, wanted)) return NVML_ERROR_INVALID_ARGUMENT;
    json_array_foreach(gpus_of(call.root), i, gpu) {
        if (parse_pci(text_or(gpu, "pci", ""), own) && memcmp(own, wanted, sizeof own) == 0)
            return give(__func__, gpu, NULL, device);
    }
    return NVML_ERROR_NOT_FOUND;
}

static nvmlReturn_t pci_of(json_t *gpu, nvmlPciInfo_t *pci) {
    unsigned int numbers[3];
    NEED(pci);
    if (!parse_pci(text_or(gpu, "pci", ""), numbers)) return NVML_ERROR_NOT_SUPPORTED;
    memset(pci, 0, sizeof *pci);
    pci->domain = numbers[0];
    pci->bus = numbers[1];
    pci->device = numbers[2];
    pci->device_id = uint_or(gpu, "pci_device_id", 0);
    pci->subsystem_id = uint_or(gpu, "pci_subsystem_id", 0);
    snprintf(pci->bus_id, sizeof pci->bus_id, "%08X:%02X:%02X.0", pci->domain, pci->bus & 0xff, pci->device & 0xff);
    snprintf(pci->bus_id_legacy, sizeof pci->bus_id_legacy, "%04X:%02X:%02X.0", pci->domain & 0xffff, pci->bus & 0xff,
        pci->device & 0xff);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
    CALL_GPU(device);
    return pci_of(call.gpu, pci);
}

NVML_API nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_v2_t *pci) {
    nvmlPciInfo_t full;
    CALL_GPU(device);
    NEED(pci);
    nvmlReturn_t status = pci_of(call.gpu, &full);
    if (status != NVML_SUCCESS) return status;
    memset(pci, 0, sizeof *pci);
    memcpy(pci->bus_id, full.bus_id_legacy, sizeof pci->bus_id);
    pci->domain = full.domain;
    pci->bus = full.bus;
    pci->device = full.device;
    pci->device_id = full.device_id;
    pci->subsystem_id = full.subsystem_id;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index) {
    size_t i;
    json_t *gpu;
    CALL_DEVICE(device);
    NEED(index);
    if (call.mig != NULL) return get_uint(call.mig, "index", index);
    json_array_foreach(gpus_of(call.root), i, gpu) if (gpu == call.gpu) *index = (unsigned int)i;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
    char full[128];
    CALL_DEVICE(device);
    if (call.mig == NULL) return get_text(call.gpu, "name", name, length);
    snprintf(full, sizeof full, "%s MIG %s", text_or(call.gpu, "name", ""), text_or(call.mig, "profile", ""));
    return put_text(full, name, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length) {
    CALL_DEVICE(device);
    return get_text(call.mig != NULL ? call.mig : call.gpu, "uuid", uuid, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *serial, unsigned int length) {
    CALL_GPU(device);
    return get_text(call.gpu, "serial", serial, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char *version, unsigned int length) {
    CALL_GPU(device);
    return get_text(call.gpu, "vbios", version, length);
}

/* Driver models are Windows' own. */
NVML_API nvmlReturn_t nvmlDeviceGetDriverModel_v2(nvmlDevice_t device, unsigned int *current, unsigned int *pending) {
    CALL_GPU(device);
    (void)current;
    (void)pending;
    return NVML_ERROR_NOT_SUPPORTED;
}

NVML_API nvmlReturn_t nvmlDeviceGetDriverModel(nvmlDevice_t device, unsigned int *current, unsigned int *pending) {
    return nvmlDeviceGetDriverModel_v2(device, current, pending);
}

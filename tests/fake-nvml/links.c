/* How GPUs are connected: the way through the host, NVLink, and access from one to another. */
#include <stdio.h>
#include <string.h>

#include "topology.h"

/* The entry of two GPUs in "links"; NULL if the file has none. */
static json_t *link_between(json_t *root, json_t *one, json_t *other) {
    size_t i, j;
    json_t *link, *uuid;
    json_array_foreach(json_object_get(root, "links"), i, link) {
        unsigned int ends = 0;
        json_array_foreach(json_object_get(link, "gpus"), j, uuid) {
            const char *text = json_string_value(uuid);
            if (text == NULL) continue;
            ends |= strcmp(text, text_or(one, "uuid", "")) == 0 ? 1 : 0;
            ends |= strcmp(text, text_or(other, "uuid", "")) == 0 ? 2 : 0;
        }
        if (ends == 3) return link;
    }
    return NULL;
}

static unsigned int level_between(json_t *root, json_t *one, json_t *other) {
    static const char *const names[] = {"internal", "single", "multiple", "hostbridge", "node", "system"};
    if (one == other) return NVML_TOPOLOGY_INTERNAL;
    const char *name = text_or(link_between(root, one, other), "level", "system");
    for (unsigned int i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) return i * 10;
    return NVML_TOPOLOGY_SYSTEM;
}

/* Through NVSwitches every GPU with links reaches every other. */
static bool are_linked(json_t *root, json_t *one, json_t *other) {
    if (is_true(root, "nvswitch")) return uint_or(one, "nvlinks", 0) > 0 && uint_or(other, "nvlinks", 0) > 0;
    return uint_or(link_between(root, one, other), "nvlinks", 0) > 0;
}

/* Find two GPUs for a question about both. */
static nvmlReturn_t second_gpu(const char *function, nvmlDevice_t device, struct call *call, json_t **gpu) {
    size_t i;
    json_t *other;
    json_array_foreach(gpus_of(call->root), i, other) {
        if (handle_of(DEVICE, other, NULL) != device) continue;
        *gpu = other;
        return device_fault(other, NULL, function);
    }
    return NVML_ERROR_INVALID_ARGUMENT;
}

NVML_API nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t one, nvmlDevice_t other, unsigned int *level) {
    json_t *gpu;
    CALL_GPU(one);
    NEED(level);
    nvmlReturn_t status = second_gpu(__func__, other, &call, &gpu);
    if (status == NVML_SUCCESS) *level = level_between(call.root, call.gpu, gpu);
    return status;
}

NVML_API nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(
    nvmlDevice_t device, unsigned int level, unsigned int *count, nvmlDevice_t *devices) {
    size_t i;
    unsigned int found = 0;
    json_t *gpu;
    CALL_GPU(device);
    NEED(count);
    json_array_foreach(gpus_of(call.root), i, gpu) {
        if (gpu == call.gpu || level_between(call.root, call.gpu, gpu) != level) continue;
        if (devices != NULL && found < *count) devices[found] = handle_of(DEVICE, gpu, NULL);
        found++;
    }
    *count = found;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetP2PStatus(
    nvmlDevice_t one, nvmlDevice_t other, unsigned int capability, unsigned int *answer) {
    json_t *gpu;
    CALL_GPU(one);
    NEED(answer);
    nvmlReturn_t status = second_gpu(__func__, other, &call, &gpu);
    if (status != NVML_SUCCESS) return status;
    if (are_linked(call.root, call.gpu, gpu))
        *answer = NVML_P2P_STATUS_OK;
    else if (capability == NVML_P2P_CAPS_INDEX_NVLINK)
        *answer = NVML_P2P_STATUS_NOT_SUPPORTED;
    else
        *answer = level_between(call.root, call.gpu, gpu) <= NVML_TOPOLOGY_HOSTBRIDGE
            ? NVML_P2P_STATUS_OK
            : NVML_P2P_STATUS_CHIPSET_NOT_SUPPORTED;
    return NVML_SUCCESS;
}

/* ---- single links: numbered through the GPUs in the order of the file ---- */

/* The GPU at the other end; NULL for a switch or an idle link. */
static json_t *remote_gpu(struct call *call, unsigned int number) {
    size_t i;
    json_t *gpu;
    unsigned int passed = 0;
    if (is_true(call->root, "nvswitch")) return NULL;
    json_array_foreach(gpus_of(call->root), i, gpu) {
        if (gpu == call->gpu) continue;
        passed += uint_or(link_between(call->root, call->gpu, gpu), "nvlinks", 0);
        if (number < passed) return gpu;
    }
    return NULL;
}

static bool is_active(struct call *call, unsigned int number) {
    return is_true(call->root, "nvswitch") || remote_gpu(call, number) != NULL;
}

#define CALL_LINK(device, number)                                                            \
    CALL_GPU(device);                                                                        \
    if ((number) >= NVML_NVLINK_MAX_LINKS) return NVML_ERROR_INVALID_ARGUMENT;               \
    if ((number) >= uint_or(call.gpu, "nvlinks", 0)) return NVML_ERROR_NOT_SUPPORTED

NVML_API nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned int number, unsigned int *active) {
    CALL_LINK(device, number);
    NEED(active);
    *active = is_active(&call, number);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetNvLinkVersion(nvmlDevice_t device, unsigned int number, unsigned int *version) {
    CALL_LINK(device, number);
    NEED(version);
    /* The A100's links are of version 3.0, which NVML counts as its fourth. */
    *version = 4;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetNvLinkCapability(
    nvmlDevice_t device, unsigned int number, unsigned int capability, unsigned int *supported) {
    CALL_LINK(device, number);
    NEED(supported);
    if (capability > 5) return NVML_ERROR_INVALID_ARGUMENT;
    *supported = is_active(&call, number) && capability != 4;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned int number, unsigned int *type) {
    CALL_LINK(device, number);
    NEED(type);
    if (!is_active(&call, number)) return NVML_ERROR_NOT_SUPPORTED;
    *type = is_true(call.root, "nvswitch") ? NVML_NVLINK_DEVICE_TYPE_SWITCH : NVML_NVLINK_DEVICE_TYPE_GPU;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned int number, nvmlPciInfo_t *pci) {
    CALL_LINK(device, number);
    NEED(pci);
    if (!is_active(&call, number)) return NVML_ERROR_NOT_SUPPORTED;
    json_t *gpu = remote_gpu(&call, number);
    const char *bus_id = gpu != NULL ? text_or(gpu, "pci", "") : "00000000:C0:00.0";
    memset(pci, 0, sizeof *pci);
    if (sscanf(bus_id, "%x:%x:%x.", &pci->domain, &pci->bus, &pci->device) != 3) return NVML_ERROR_UNKNOWN;
    pci->device_id = gpu != NULL ? uint_or(gpu, "pci_device_id", 0) : 0x1AF110DE;
    snprintf(pci->bus_id, sizeof pci->bus_id, "%s", bus_id);
    /* The short form leaves out half of the domain. */
    snprintf(pci->bus_id_legacy, sizeof pci->bus_id_legacy, "%.15s", strlen(bus_id) > 4 ? bus_id + 4 : bus_id);
    return NVML_SUCCESS;
}

/* MIG: mode, devices, GPU instances, compute instances, and what could be made. */
#include <stdio.h>
#include <string.h>

#include "topology.h"

NVML_API nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending) {
    CALL_GPU(device);
    nvmlReturn_t status = get_uint(call.gpu, "mig.current", current);
    return status != NVML_SUCCESS ? status : get_uint(call.gpu, "mig.pending", pending);
}

NVML_API nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count) {
    CALL_GPU(device);
    NEED(count);
    *count = mig_enabled(call.gpu) ? uint_or(call.gpu, "mig.max", 7) : 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *mig_device) {
    size_t i;
    json_t *mig;
    CALL_GPU(device);
    NEED(mig_device);
    if (value_at(call.gpu, "mig") == NULL) return NVML_ERROR_NOT_SUPPORTED;
    if (!mig_enabled(call.gpu)) return NVML_ERROR_NOT_FOUND;
    if (index >= uint_or(call.gpu, "mig.max", 7)) return NVML_ERROR_INVALID_ARGUMENT;
    json_array_foreach(instances_of(call.gpu), i, mig) {
        if (!is_mig_device(mig) || uint_or(mig, "index", (unsigned int)i) != index) continue;
        nvmlReturn_t status = device_fault(call.gpu, mig, __func__);
        if (status == NVML_SUCCESS) *mig_device = handle_of(DEVICE, call.gpu, mig);
        return status;
    }
    return NVML_ERROR_NOT_FOUND;
}

NVML_API nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *is_mig) {
    CALL_DEVICE(device);
    NEED(is_mig);
    *is_mig = call.mig != NULL;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig_device, nvmlDevice_t *device) {
    CALL_DEVICE(mig_device);
    NEED(device);
    if (call.mig == NULL) return NVML_ERROR_INVALID_ARGUMENT;
    *device = handle_of(DEVICE, call.gpu, NULL);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned int *id) {
    CALL_DEVICE(device);
    return get_uint(call.mig, "gpu_instance", id);
}

NVML_API nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned int *id) {
    CALL_DEVICE(device);
    return get_uint(call.mig, "compute_instance", id);
}

/* ---- profiles ---- */

static json_t *profile_where(json_t *gpu, const char *key, unsigned int number) {
    size_t i;
    json_t *profile;
    json_array_foreach(value_at(gpu, "mig.profiles"), i, profile) {
        if (uint_or(profile, key, NVML_VALUE_NOT_AVAILABLE_ID) == number) return profile;
    }
    return NULL;
}

/* "1c.3g.20gb" is a share of an instance of profile "3g.20gb". */
static json_t *profile_of(json_t *gpu, json_t *mig) {
    size_t i;
    json_t *profile;
    const char *name = text_or(mig, "profile", "");
    const char *share = strstr(name, "c.");
    if (share != NULL) name = share + 2;
    json_array_foreach(value_at(gpu, "mig.profiles"), i, profile) {
        if (strcmp(text_or(profile, "name", ""), name) == 0) return profile;
    }
    return NULL;
}

static unsigned int compute_slices(json_t *gpu, json_t *mig) {
    return uint_or(mig, "compute_slices", uint_or(profile_of(gpu, mig), "slices", 0));
}

static void fill_profile(json_t *profile, nvmlGpuInstanceProfileInfo_t *info) {
    *info = (nvmlGpuInstanceProfileInfo_t){
        .id = uint_or(profile, "id", 0),
        .slices = uint_or(profile, "slices", 0),
        .instances = uint_or(profile, "instances", 0),
        .multiprocessors = uint_or(profile, "multiprocessors", 0),
        .copy_engines = uint_or(profile, "copy_engines", 0),
        .decoders = uint_or(profile, "decoders", 0),
        .encoders = 0,
        .jpeg = uint_or(profile, "jpeg", 0),
        .ofa = uint_or(profile, "ofa", 0),
        .memory_mib = ulong_or(profile, "memory_mib", 0),
    };
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfo(
    nvmlDevice_t device, unsigned int number, nvmlGpuInstanceProfileInfo_t *info) {
    CALL_GPU(device);
    NEED(info);
    json_t *profile = profile_where(call.gpu, "nvml_profile", number);
    if (!mig_enabled(call.gpu) || profile == NULL) return NVML_ERROR_NOT_SUPPORTED;
    fill_profile(profile, info);
    return NVML_SUCCESS;
}

static nvmlReturn_t fill_profile_v2(json_t *gpu, json_t *profile, nvmlGpuInstanceProfileInfo_v2_t *info) {
    nvmlGpuInstanceProfileInfo_t first;
    NEED(info);
    if (info->version != NVML_VERSION(nvmlGpuInstanceProfileInfo_v2_t, 2)) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (!mig_enabled(gpu) || profile == NULL) return NVML_ERROR_NOT_SUPPORTED;
    fill_profile(profile, &first);
    *info = (nvmlGpuInstanceProfileInfo_v2_t){
        .version = info->version,
        .id = first.id,
        .slices = first.slices,
        .instances = first.instances,
        .multiprocessors = first.multiprocessors,
        .copy_engines = first.copy_engines,
        .decoders = first.decoders,
        .jpeg = first.jpeg,
        .ofa = first.ofa,
        .memory_mib = first.memory_mib,
    };
    snprintf(info->name, sizeof info->name, "MIG %s", text_or(profile, "name", ""));
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoV(
    nvmlDevice_t device, unsigned int number, nvmlGpuInstanceProfileInfo_v2_t *info) {
    CALL_GPU(device);
    return fill_profile_v2(call.gpu, profile_where(call.gpu, "nvml_profile", number), info);
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoByIdV(
    nvmlDevice_t device, unsigned int id, nvmlGpuInstanceProfileInfo_v2_t *info) {
    CALL_GPU(device);
    return fill_profile_v2(call.gpu, profile_where(call.gpu, "id", id), info);
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstancePossiblePlacements_v2(
    nvmlDevice_t device, unsigned int id, nvmlPlacement_t *placements, unsigned int *count) {
    size_t i;
    json_t *start;
    CALL_GPU(device);
    NEED(count);
    json_t *profile = profile_where(call.gpu, "id", id);
    if (!mig_enabled(call.gpu) || profile == NULL) return NVML_ERROR_NOT_SUPPORTED;
    json_t *starts = json_object_get(profile, "starts");
    bool fits = placements == NULL || *count >= json_array_size(starts);
    *count = (unsigned int)json_array_size(starts);
    if (!fits) return NVML_ERROR_INSUFFICIENT_SIZE;
    if (placements != NULL)
        json_array_foreach(starts, i, start) placements[i]
            = (nvmlPlacement_t){(unsigned int)json_integer_value(start), uint_or(profile, "size", 0)};
    return NVML_SUCCESS;
}

/* How many instances fit beside those that are there, tried from the lowest placement up. */
static unsigned int remaining(json_t *gpu, json_t *profile) {
    size_t i, j;
    json_t *mig, *start;
    unsigned int free_to = 0, found = 0, size = uint_or(profile, "size", 1), same = 0;
    json_array_foreach(instances_of(gpu), j, mig) same += profile_of(gpu, mig) == profile;
    json_array_foreach(json_object_get(profile, "starts"), i, start) {
        unsigned int from = (unsigned int)json_integer_value(start);
        bool clash = from < free_to;
        json_array_foreach(instances_of(gpu), j, mig) {
            unsigned int taken = uint_or(mig, "start", 0);
            clash |= taken < from + size && from < taken + uint_or(mig, "size", 1);
        }
        if (clash) continue;
        found++;
        free_to = from + size;
    }
    unsigned int most = uint_or(profile, "instances", 0);
    most = most > same ? most - same : 0;
    return found < most ? found : most;
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceRemainingCapacity(nvmlDevice_t device, unsigned int id, unsigned int *count) {
    CALL_GPU(device);
    NEED(count);
    json_t *profile = profile_where(call.gpu, "id", id);
    if (!mig_enabled(call.gpu) || profile == NULL) return NVML_ERROR_NOT_SUPPORTED;
    *count = remaining(call.gpu, profile);
    return NVML_SUCCESS;
}

/* ---- instances ---- */

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstances(
    nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *instances, unsigned int *count) {
    size_t i;
    unsigned int found = 0;
    json_t *mig;
    CALL_GPU(device);
    NEED(instances);
    NEED(count);
    json_t *profile = profile_where(call.gpu, "id", id);
    if (!mig_enabled(call.gpu) || profile == NULL) return NVML_ERROR_NOT_SUPPORTED;
    json_array_foreach(instances_of(call.gpu), i, mig) {
        if (profile_of(call.gpu, mig) != profile) continue;
        nvmlGpuInstance_t handle = handle_of(GPU_INSTANCE, call.gpu, mig);
        /* Several compute instances may share one. */
        if (found == 0 || instances[found - 1] != handle) instances[found++] = handle;
    }
    *count = found;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceById(nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *instance) {
    size_t i;
    json_t *mig;
    CALL_GPU(device);
    NEED(instance);
    if (!mig_enabled(call.gpu)) return NVML_ERROR_NOT_SUPPORTED;
    json_array_foreach(instances_of(call.gpu), i, mig) {
        if (uint_or(mig, "gpu_instance", NVML_VALUE_NOT_AVAILABLE_ID) != id) continue;
        *instance = handle_of(GPU_INSTANCE, call.gpu, mig);
        return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_FOUND;
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetInfo(nvmlGpuInstance_t instance, nvmlGpuInstanceInfo_t *info) {
    CALL(call_begin_handle(__func__, GPU_INSTANCE, instance));
    NEED(info);
    *info = (nvmlGpuInstanceInfo_t){
        .device = handle_of(DEVICE, call.gpu, NULL),
        .id = uint_or(call.mig, "gpu_instance", 0),
        .profile_id = uint_or(profile_of(call.gpu, call.mig), "id", 0),
        .placement = {uint_or(call.mig, "start", 0), uint_or(call.mig, "size", 0)},
    };
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes) {
    CALL_DEVICE(device);
    NEED(attributes);
    json_t *profile = call.mig != NULL ? profile_of(call.gpu, call.mig) : NULL;
    if (profile == NULL) return NVML_ERROR_NOT_SUPPORTED;
    unsigned int slices = uint_or(profile, "slices", 1), share = compute_slices(call.gpu, call.mig);
    *attributes = (nvmlDeviceAttributes_t){
        .multiprocessors = uint_or(profile, "multiprocessors", 0) * share / slices,
        .copy_engines = uint_or(profile, "copy_engines", 0),
        .decoders = uint_or(profile, "decoders", 0),
        .jpeg = uint_or(profile, "jpeg", 0),
        .ofa = uint_or(profile, "ofa", 0),
        .gpu_slices = slices,
        .compute_slices = share,
        .memory_mib = ulong_or(call.mig, "memory_mib", ulong_or(profile, "memory_mib", 0)),
    };
    return NVML_SUCCESS;
}

/* Compute profiles are known by their slices: 1, 2, 3, 4, 7 (and 8, 6). */
static const unsigned int COMPUTE_SLICES[] = {1, 2, 3, 4, 7, 8, 6};

static unsigned int compute_profile_id(unsigned int slices) {
    for (unsigned int i = 0; i < sizeof COMPUTE_SLICES / sizeof *COMPUTE_SLICES; i++)
        if (COMPUTE_SLICES[i] == slices) return i;
    return NVML_VALUE_NOT_AVAILABLE_ID;
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfoV(nvmlGpuInstance_t instance, unsigned int number,
    unsigned int engines, nvmlComputeInstanceProfileInfo_v2_t *info) {
    CALL(call_begin_handle(__func__, GPU_INSTANCE, instance));
    NEED(info);
    if (info->version != NVML_VERSION(nvmlComputeInstanceProfileInfo_v2_t, 2))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    json_t *profile = profile_of(call.gpu, call.mig);
    unsigned int slices = uint_or(profile, "slices", 1);
    if (engines != 0 || number >= sizeof COMPUTE_SLICES / sizeof *COMPUTE_SLICES || COMPUTE_SLICES[number] > slices)
        return NVML_ERROR_NOT_SUPPORTED;
    *info = (nvmlComputeInstanceProfileInfo_v2_t){
        .version = info->version,
        .id = number,
        .slices = COMPUTE_SLICES[number],
        .instances = slices / COMPUTE_SLICES[number],
        .multiprocessors = uint_or(profile, "multiprocessors", 0) * COMPUTE_SLICES[number] / slices,
        .copy_engines = uint_or(profile, "copy_engines", 0),
        .decoders = uint_or(profile, "decoders", 0),
        .jpeg = uint_or(profile, "jpeg", 0),
        .ofa = uint_or(profile, "ofa", 0),
    };
    snprintf(info->name, sizeof info->name, "MIG %uc.%s", COMPUTE_SLICES[number], text_or(profile, "name", ""));
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfo(nvmlGpuInstance_t instance, unsigned int number,
    unsigned int engines, nvmlComputeInstanceProfileInfo_t *info) {
    nvmlComputeInstanceProfileInfo_v2_t full = {.version = NVML_VERSION(nvmlComputeInstanceProfileInfo_v2_t, 2)};
    NEED(info);
    nvmlReturn_t status = nvmlGpuInstanceGetComputeInstanceProfileInfoV(instance, number, engines, &full);
    if (status == NVML_SUCCESS)
        *info = (nvmlComputeInstanceProfileInfo_t){full.id, full.slices, full.instances, full.multiprocessors,
            full.copy_engines, full.decoders, full.encoders, full.jpeg, full.ofa};
    return status;
}

static bool is_compute_instance_of(json_t *mig, json_t *gpu, json_t *sibling) {
    return is_mig_device(mig) && handle_of(GPU_INSTANCE, gpu, mig) == handle_of(GPU_INSTANCE, gpu, sibling);
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstances(
    nvmlGpuInstance_t instance, unsigned int id, nvmlComputeInstance_t *instances, unsigned int *count) {
    size_t i;
    json_t *mig;
    CALL(call_begin_handle(__func__, GPU_INSTANCE, instance));
    NEED(instances);
    NEED(count);
    *count = 0;
    json_array_foreach(instances_of(call.gpu), i, mig) {
        if (is_compute_instance_of(mig, call.gpu, call.mig) && compute_profile_id(compute_slices(call.gpu, mig)) == id)
            instances[(*count)++] = handle_of(COMPUTE_INSTANCE, call.gpu, mig);
    }
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstanceById(
    nvmlGpuInstance_t instance, unsigned int id, nvmlComputeInstance_t *compute_instance) {
    size_t i;
    json_t *mig;
    CALL(call_begin_handle(__func__, GPU_INSTANCE, instance));
    NEED(compute_instance);
    json_array_foreach(instances_of(call.gpu), i, mig) {
        if (!is_compute_instance_of(mig, call.gpu, call.mig) || uint_or(mig, "compute_instance", 0) != id) continue;
        *compute_instance = handle_of(COMPUTE_INSTANCE, call.gpu, mig);
        return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_FOUND;
}

NVML_API nvmlReturn_t nvmlComputeInstanceGetInfo_v2(nvmlComputeInstance_t instance, nvmlComputeInstanceInfo_t *info) {
    CALL(call_begin_handle(__func__, COMPUTE_INSTANCE, instance));
    NEED(info);
    unsigned int slices = compute_slices(call.gpu, call.mig);
    *info = (nvmlComputeInstanceInfo_t){
        .device = handle_of(DEVICE, call.gpu, call.mig),
        .gpu_instance = handle_of(GPU_INSTANCE, call.gpu, call.mig),
        .id = uint_or(call.mig, "compute_instance", 0),
        .profile_id = compute_profile_id(slices),
        .placement = {uint_or(call.mig, "compute_start", 0), slices},
    };
    return NVML_SUCCESS;
}

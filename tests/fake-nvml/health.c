/* The signs of a sick GPU: ECC errors, retired pages, remapped rows; and the same as field values. */
#include <string.h>

#include "topology.h"

NVML_API nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending) {
    CALL_DEVICE(device);
    nvmlReturn_t status = get_uint(call.gpu, "ecc.current", current);
    return status != NVML_SUCCESS ? status : get_uint(call.gpu, "ecc.pending", pending);
}

/* A MIG device tells only its uncorrected errors since the driver was loaded. */
static nvmlReturn_t ecc_count(
    json_t *gpu, json_t *mig, unsigned int type, unsigned int counter, unsigned long long *count) {
    static const char *const paths[2][2] = {
        {"ecc.corrected.volatile", "ecc.corrected.aggregate"},
        {"ecc.uncorrected.volatile", "ecc.uncorrected.aggregate"},
    };
    NEED(count);
    if (type > NVML_ECC_UNCORRECTED || counter > NVML_ECC_AGGREGATE) return NVML_ERROR_INVALID_ARGUMENT;
    if (!is_true(gpu, "ecc.current")) return NVML_ERROR_NOT_SUPPORTED;
    if (mig == NULL) return get_ulong(gpu, paths[type][counter], count);
    if (type != NVML_ECC_UNCORRECTED || counter == NVML_ECC_AGGREGATE) return NVML_ERROR_NOT_SUPPORTED;
    *count = ulong_or(mig, "ecc_uncorrected", 0);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetTotalEccErrors(
    nvmlDevice_t device, unsigned int type, unsigned int counter, unsigned long long *count) {
    CALL_DEVICE(device);
    return ecc_count(call.gpu, call.mig, type, counter, count);
}

/* All errors are the device memory's. */
NVML_API nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(
    nvmlDevice_t device, unsigned int type, unsigned int counter, unsigned int location, unsigned long long *count) {
    CALL_DEVICE(device);
    nvmlReturn_t status = ecc_count(call.gpu, call.mig, type, counter, count);
    if (status == NVML_SUCCESS && location != NVML_MEMORY_LOCATION_DEVICE) *count = 0;
    return status;
}

NVML_API nvmlReturn_t nvmlDeviceGetDetailedEccErrors(
    nvmlDevice_t device, unsigned int type, unsigned int counter, nvmlEccErrorCounts_t *counts) {
    CALL_GPU(device);
    NEED(counts);
    memset(counts, 0, sizeof *counts);
    return ecc_count(call.gpu, NULL, type, counter, &counts->device_memory);
}

static nvmlReturn_t retired_pages(json_t *gpu, unsigned int cause, unsigned int *count, unsigned long long *pages) {
    size_t i;
    json_t *page;
    json_t *list = value_at(gpu, cause == 0 ? "retired_pages.single" : "retired_pages.double");
    NEED(count);
    if (cause > 1) return NVML_ERROR_INVALID_ARGUMENT;
    if (!json_is_array(list)) return NVML_ERROR_NOT_SUPPORTED;
    bool fits = json_array_size(list) == 0 || (pages != NULL && json_array_size(list) <= *count);
    *count = (unsigned int)json_array_size(list);
    if (!fits) return NVML_ERROR_INSUFFICIENT_SIZE;
    json_array_foreach(list, i, page) pages[i] = (unsigned long long)json_number_value(page);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetRetiredPages(
    nvmlDevice_t device, unsigned int cause, unsigned int *count, unsigned long long *pages) {
    CALL_GPU(device);
    return retired_pages(call.gpu, cause, count, pages);
}

NVML_API nvmlReturn_t nvmlDeviceGetRetiredPages_v2(
    nvmlDevice_t device, unsigned int cause, unsigned int *count, unsigned long long *pages, unsigned long long *times) {
    CALL_GPU(device);
    nvmlReturn_t status = retired_pages(call.gpu, cause, count, pages);
    if (status == NVML_SUCCESS && times != NULL) memset(times, 0, *count * sizeof *times);
    return status;
}

/* A GPU with MIG instances does not tell its remapped rows, unless the file says that this driver does. */
static json_t *remapped_rows(json_t *gpu) {
    json_t *rows = value_at(gpu, "remapped_rows");
    bool hidden = mig_enabled(gpu) && json_array_size(instances_of(gpu)) > 0 && !is_true(rows, "with_mig");
    return hidden ? NULL : rows;
}

NVML_API nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *correctable,
    unsigned int *uncorrectable, unsigned int *pending, unsigned int *failure) {
    CALL_GPU(device);
    NEED(pending);
    NEED(failure);
    json_t *rows = remapped_rows(call.gpu);
    nvmlReturn_t status = get_uint(rows, "correctable", correctable);
    if (status == NVML_SUCCESS) status = get_uint(rows, "uncorrectable", uncorrectable);
    if (status != NVML_SUCCESS) return status;
    *pending = is_true(rows, "pending");
    *failure = is_true(rows, "failure");
    return NVML_SUCCESS;
}

static const struct {
    unsigned int field;
    const char *path;
} FIELDS[] = {
    {1, "ecc.current"}, {2, "ecc.pending"}, {3, "ecc.corrected.volatile"}, {4, "ecc.uncorrected.volatile"},
    {5, "ecc.corrected.aggregate"}, {6, "ecc.uncorrected.aggregate"}, {31, "retired_pages.pending"},
    {82, "memory_temperature"}, {83, "power.energy_mj"}, {91, "nvlinks"}, {142, "remapped_rows.correctable"},
    {143, "remapped_rows.uncorrectable"}, {144, "remapped_rows.pending"}, {145, "remapped_rows.failure"},
    {185, "power.usage_mw"}, {186, "power.usage_mw"}, {190, "power.limit_mw"},
};

static void fill_field(struct call *call, nvmlFieldValue_t *value) {
    value->status = NVML_ERROR_NOT_SUPPORTED;
    value->type = 1;
    if (call->mig != NULL) return;
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        if (FIELDS[i].field != value->field) continue;
        if (strncmp(FIELDS[i].path, "remapped_rows", 13) == 0 && remapped_rows(call->gpu) == NULL) return;
        value->value.long_number = 0;
        value->status = get_ulong(call->gpu, FIELDS[i].path, &value->value.long_number);
        /* Energy is a wide number. */
        value->type = value->field == 83 ? 3 : 1;
    }
}

NVML_API nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values) {
    CALL_DEVICE(device);
    NEED(values);
    for (int i = 0; i < count; i++) fill_field(&call, &values[i]);
    return NVML_SUCCESS;
}

/* The topology file, the calls that read it, and the handles that outlive its versions. */
#ifndef FAKE_NVML_TOPOLOGY_H
#define FAKE_NVML_TOPOLOGY_H

#include <jansson.h>
#include <stdbool.h>

#include "nvml.h"

enum handle_kind { DEVICE, GPU_INSTANCE, COMPUTE_INSTANCE };

/* One call of the interface: what it looks at, or why it fails. Holds the lock until it goes out of scope. */
struct call {
    nvmlReturn_t status;
    bool locked;
    json_t *root;
    json_t *gpu; /* the physical GPU, of a MIG device too */
    json_t *mig; /* the MIG device, NULL for a whole GPU */
};

struct call call_begin(const char *function, bool needs_init);
struct call call_begin_handle(const char *function, enum handle_kind kind, struct fake_handle *handle);
void call_end(struct call *call);

/* Leave the function with the call's failure, if it has one; release the lock at its end. */
#define CALL(expression)                                             \
    struct call call __attribute__((cleanup(call_end))) = expression; \
    if (call.status != NVML_SUCCESS) return call.status
#define CALL_SYSTEM() CALL(call_begin(__func__, true))
#define CALL_DEVICE(handle) CALL(call_begin_handle(__func__, DEVICE, handle))
/* For what a MIG device does not tell. */
#define CALL_GPU(handle)  \
    CALL_DEVICE(handle);  \
    if (call.mig != NULL) return NVML_ERROR_NOT_SUPPORTED
/* For pointers that the caller must give. */
#define NEED(pointer) \
    if ((pointer) == NULL) return NVML_ERROR_INVALID_ARGUMENT

nvmlReturn_t topology_open(void);
nvmlReturn_t topology_close(void);

/* The failure that is planned for a function of this device; mig is NULL for a whole GPU. */
nvmlReturn_t device_fault(json_t *gpu, json_t *mig, const char *function);
struct fake_handle *handle_of(enum handle_kind kind, json_t *gpu, json_t *mig);

/* Values by path, such as "ecc.current"; a value that is absent or null is not supported. */
json_t *value_at(json_t *object, const char *path);
nvmlReturn_t get_uint(json_t *object, const char *path, unsigned int *value);
nvmlReturn_t get_ulong(json_t *object, const char *path, unsigned long long *value);
nvmlReturn_t get_text(json_t *object, const char *path, char *text, unsigned int length);
nvmlReturn_t put_text(const char *source, char *text, unsigned int length);
unsigned int uint_or(json_t *object, const char *path, unsigned int fallback);
unsigned long long ulong_or(json_t *object, const char *path, unsigned long long fallback);
const char *text_or(json_t *object, const char *path, const char *fallback);
bool is_true(json_t *object, const char *path);

/* The GPUs, and the instances of one. */
json_t *gpus_of(json_t *root);
json_t *instances_of(json_t *gpu);
bool mig_enabled(json_t *gpu);
bool is_mig_device(json_t *mig);

#endif

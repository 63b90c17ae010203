/* Reading the topology file whenever it changed, planned failures, and handles. */
#include "topology.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct fake_handle {
    struct fake_handle *next;
    enum handle_kind kind;
    char key[256];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_handle *handles;
static unsigned int users;
static json_t *current;
static struct stat seen;

/* The failures by the names that the topology gives them. */
static const struct {
    const char *name;
    int code;
} FAULTS[] = {
    {"success", 0}, {"uninitialized", 1}, {"invalid_argument", 2}, {"not_supported", 3}, {"no_permission", 4},
    {"not_found", 6}, {"insufficient_size", 7}, {"insufficient_power", 8}, {"driver_not_loaded", 9},
    {"timeout", 10}, {"irq_issue", 11}, {"library_not_found", 12}, {"function_not_found", 13},
    {"corrupted_inforom", 14}, {"gpu_is_lost", 15}, {"lost", 15}, {"reset_required", 16}, {"operating_system", 17},
    {"lib_rm_version_mismatch", 18}, {"in_use", 19}, {"memory", 20}, {"no_data", 21}, {"gpu_not_found", 28},
    {"invalid_state", 29}, {"unknown", 999},
};

static int fault_code(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof FAULTS / sizeof *FAULTS; i++)
        if (strcmp(FAULTS[i].name, name) == 0) return FAULTS[i].code;
    return -1;
}

/* ---- values ---- */

json_t *value_at(json_t *object, const char *path) {
    char name[64];
    for (const char *dot; object != NULL && (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        snprintf(name, sizeof name, "%.*s", (int)(dot - path), path);
        object = json_object_get(object, name);
    }
    json_t *value = json_object_get(object, path);
    return json_is_null(value) ? NULL : value;
}

nvmlReturn_t get_ulong(json_t *object, const char *path, unsigned long long *value) {
    json_t *found = value_at(object, path);
    NEED(value);
    if (json_is_boolean(found))
        *value = json_is_true(found);
    else if (json_is_number(found))
        *value = (unsigned long long)json_number_value(found);
    else
        return NVML_ERROR_NOT_SUPPORTED;
    return NVML_SUCCESS;
}

nvmlReturn_t get_uint(json_t *object, const char *path, unsigned int *value) {
    unsigned long long wide;
    NEED(value);
    nvmlReturn_t status = get_ulong(object, path, &wide);
    if (status == NVML_SUCCESS) *value = (unsigned int)wide;
    return status;
}

unsigned long long ulong_or(json_t *object, const char *path, unsigned long long fallback) {
    unsigned long long value;
    return get_ulong(object, path, &value) == NVML_SUCCESS ? value : fallback;
}

unsigned int uint_or(json_t *object, const char *path, unsigned int fallback) {
    return (unsigned int)ulong_or(object, path, fallback);
}

const char *text_or(json_t *object, const char *path, const char *fallback) {
    const char *text = json_string_value(value_at(object, path));
    return text != NULL ? text : fallback;
}

bool is_true(json_t *object, const char *path) {
    return ulong_or(object, path, 0) != 0;
}

nvmlReturn_t put_text(const char *source, char *text, unsigned int length) {
    NEED(text);
    if (source == NULL) return NVML_ERROR_NOT_SUPPORTED;
    if (strlen(source) >= length) return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(text, source, strlen(source) + 1);
    return NVML_SUCCESS;
}

nvmlReturn_t get_text(json_t *object, const char *path, char *text, unsigned int length) {
    return put_text(text_or(object, path, NULL), text, length);
}

json_t *gpus_of(json_t *root) {
    return json_object_get(root, "gpus");
}

json_t *instances_of(json_t *gpu) {
    return value_at(gpu, "mig.instances");
}

bool mig_enabled(json_t *gpu) {
    return is_true(gpu, "mig.current");
}

/* A GPU instance without a compute instance is no device. */
bool is_mig_device(json_t *mig) {
    return text_or(mig, "uuid", NULL) != NULL;
}

/* ---- the file ---- */

static bool faults_are_known(json_t *object, json_error_t *error) {
    const char *name;
    json_t *fault;
    json_object_foreach(json_object_get(object, "faults"), name, fault) {
        if (fault_code(json_string_value(fault)) < 0) {
            snprintf(error->text, sizeof error->text, "unknown fault for '%s'", name);
            return false;
        }
    }
    return true;
}

/* Whether the topology is one that the calls can work on. Sets error->text if not. */
static bool is_usable(json_t *root, json_error_t *error) {
    size_t i, j;
    json_t *gpu, *mig;
    if (!faults_are_known(root, error)) return false;
    if (!json_is_array(gpus_of(root))) {
        snprintf(error->text, sizeof error->text, "no list 'gpus'");
        return false;
    }
    json_array_foreach(gpus_of(root), i, gpu) {
        if (text_or(gpu, "uuid", NULL) == NULL) {
            snprintf(error->text, sizeof error->text, "no 'uuid' in GPU %zu", i);
            return false;
        }
        if (!faults_are_known(gpu, error)) return false;
        json_array_foreach(instances_of(gpu), j, mig) if (!faults_are_known(mig, error)) return false;
    }
    return true;
}

/* Read the file again if it changed; one that cannot be used leaves the last good one in place. */
static void refresh(void) {
    const char *path = getenv("FAKE_NVML_TOPOLOGY");
    struct stat now;
    json_error_t error = {.line = 0};
    if (path == NULL || stat(path, &now) != 0) return;
    if (current != NULL && now.st_ino == seen.st_ino && now.st_dev == seen.st_dev && now.st_size == seen.st_size
        && now.st_mtim.tv_sec == seen.st_mtim.tv_sec && now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
        return;
    json_t *fresh = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (fresh != NULL && is_usable(fresh, &error)) {
        json_decref(current);
        current = fresh;
        seen = now;
        return;
    }
    json_decref(fresh);
    if (current == NULL) fprintf(stderr, "fake-nvml: %s:%d: %s\n", path, error.line, error.text);
}

nvmlReturn_t topology_open(void) {
    nvmlReturn_t status = NVML_SUCCESS;
    pthread_mutex_lock(&lock);
    refresh();
    if (current == NULL)
        status = NVML_ERROR_DRIVER_NOT_LOADED;
    else if (text_or(current, "faults.nvmlInit", text_or(current, "faults.*", NULL)) != NULL)
        status = (nvmlReturn_t)fault_code(text_or(current, "faults.nvmlInit", text_or(current, "faults.*", NULL)));
    if (status == NVML_SUCCESS) users++;
    pthread_mutex_unlock(&lock);
    return status;
}

nvmlReturn_t topology_close(void) {
    pthread_mutex_lock(&lock);
    nvmlReturn_t status = users > 0 ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
    if (users > 0) users--;
    pthread_mutex_unlock(&lock);
    return status;
}

/* ---- failures ---- */

/* The entry for a function: under its name, its name without the version, or "*". */
static json_t *entry_for(json_t *table, const char *function, bool any) {
    char plain[128];
    json_t *entry = json_object_get(table, function);
    if (entry != NULL) return entry;
    snprintf(plain, sizeof plain, "%s", function);
    char *version = strrchr(plain, '_');
    if (version != NULL && version[1] == 'v') *version = '\0';
    entry = json_object_get(table, plain);
    return entry != NULL || !any ? entry : json_object_get(table, "*");
}

static nvmlReturn_t fault_of(json_t *object, const char *function) {
    json_t *entry = entry_for(json_object_get(object, "faults"), function, true);
    if (entry != NULL) return (nvmlReturn_t)fault_code(json_string_value(entry));
    return is_true(object, "lost") ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
}

/* What befalls the whole GPU befalls its instances; what it plans for one function is its own. */
nvmlReturn_t device_fault(json_t *gpu, json_t *mig, const char *function) {
    if (mig == NULL) return fault_of(gpu, function);
    nvmlReturn_t status = fault_of(gpu, "*");
    return status != NVML_SUCCESS ? status : fault_of(mig, function);
}

/* Wait as long as the topology says that the function takes, without the lock. */
static void wait_for_delay(json_t *object, const char *function) {
    json_t *entry = entry_for(json_object_get(object, "delays_ms"), function, true);
    if (!json_is_number(entry)) return;
    long milliseconds = (long)json_number_value(entry);
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    pthread_mutex_unlock(&lock);
    while (nanosleep(&time, &time) != 0) continue;
    pthread_mutex_lock(&lock);
    refresh();
}

/* ---- handles and calls ---- */

static void key_of(enum handle_kind kind, json_t *gpu, json_t *mig, char *key, size_t size) {
    if (kind == DEVICE)
        snprintf(key, size, "%s", text_or(mig != NULL ? mig : gpu, "uuid", ""));
    else
        snprintf(key, size, "%s/%u/%u/%s/%u", text_or(gpu, "uuid", ""), uint_or(mig, "gpu_instance", 0),
            uint_or(mig, "start", 0), text_or(mig, "profile", ""),
            kind == COMPUTE_INSTANCE ? uint_or(mig, "compute_instance", 0) : 0);
}

struct fake_handle *handle_of(enum handle_kind kind, json_t *gpu, json_t *mig) {
    char key[sizeof handles->key];
    key_of(kind, gpu, mig, key, sizeof key);
    for (struct fake_handle *handle = handles; handle != NULL; handle = handle->next)
        if (handle->kind == kind && strcmp(handle->key, key) == 0) return handle;
    struct fake_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) abort();
    handle->kind = kind;
    memcpy(handle->key, key, sizeof key);
    handle->next = handles;
    return handles = handle;
}

static bool matches(enum handle_kind kind, json_t *gpu, json_t *mig, const char *key) {
    char own[sizeof handles->key];
    if (kind == DEVICE && mig != NULL && !is_mig_device(mig)) return false;
    key_of(kind, gpu, mig, own, sizeof own);
    return strcmp(own, key) == 0;
}

/* Find what a handle means in the topology of now. */
static bool resolve(struct call *call, const struct fake_handle *handle) {
    size_t i, j;
    json_t *gpu, *mig;
    json_array_foreach(gpus_of(call->root), i, gpu) {
        call->gpu = gpu;
        call->mig = NULL;
        if (handle->kind == DEVICE && matches(DEVICE, gpu, NULL, handle->key)) return true;
        if (!mig_enabled(gpu)) continue;
        json_array_foreach(instances_of(gpu), j, mig) {
            call->mig = mig;
            if (matches(handle->kind, gpu, mig, handle->key)) return true;
        }
    }
    return false;
}

struct call call_begin(const char *function, bool needs_init) {
    struct call call = {.status = NVML_SUCCESS};
    pthread_mutex_lock(&lock);
    call.locked = true;
    refresh();
    if (current != NULL) wait_for_delay(current, function);
    call.root = current;
    if (needs_init && users == 0)
        call.status = NVML_ERROR_UNINITIALIZED;
    else if (current != NULL)
        call.status = fault_of(current, function);
    return call;
}

struct call call_begin_handle(const char *function, enum handle_kind kind, struct fake_handle *handle) {
    struct call call = call_begin(function, true);
    struct fake_handle *known = handles;
    if (call.status != NVML_SUCCESS) return call;
    while (known != NULL && known != handle) known = known->next;
    if (known == NULL || known->kind != kind) {
        call.status = NVML_ERROR_INVALID_ARGUMENT;
        return call;
    }
    bool found = resolve(&call, known);
    if (found) {
        wait_for_delay(call.mig != NULL ? call.mig : call.gpu, function);
        /* The file may have changed while the call waited. */
        call.root = current;
        found = resolve(&call, known);
    }
    if (found)
        call.status = device_fault(call.gpu, call.mig, function);
    else
        call.status = strncmp(known->key, "GPU-", 4) == 0 && kind == DEVICE ? NVML_ERROR_GPU_IS_LOST
                                                                           : NVML_ERROR_INVALID_ARGUMENT;
    return call;
}

void call_end(struct call *call) {
    if (call->locked) pthread_mutex_unlock(&lock);
    call->locked = false;
}

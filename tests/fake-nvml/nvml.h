/* The part of NVML's binary interface that is simulated here: types and numbers of a 64-bit driver. */
#ifndef FAKE_NVML_H
#define FAKE_NVML_H

#define NVML_API __attribute__((visibility("default")))

typedef enum {
    NVML_SUCCESS = 0,
    NVML_ERROR_UNINITIALIZED = 1,
    NVML_ERROR_INVALID_ARGUMENT = 2,
    NVML_ERROR_NOT_SUPPORTED = 3,
    NVML_ERROR_NOT_FOUND = 6,
    NVML_ERROR_INSUFFICIENT_SIZE = 7,
    NVML_ERROR_DRIVER_NOT_LOADED = 9,
    NVML_ERROR_GPU_IS_LOST = 15,
    NVML_ERROR_MEMORY = 20,
    NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
    NVML_ERROR_UNKNOWN = 999,
} nvmlReturn_t;

/* Opaque to callers: devices, GPU instances and compute instances alike. */
typedef struct fake_handle *nvmlDevice_t;
typedef struct fake_handle *nvmlGpuInstance_t;
typedef struct fake_handle *nvmlComputeInstance_t;

enum {
    NVML_VALUE_NOT_AVAILABLE_ID = 0xFFFFFFFF,
    NVML_NVLINK_MAX_LINKS = 18,
    NVML_NVLINK_DEVICE_TYPE_GPU = 0,
    NVML_NVLINK_DEVICE_TYPE_SWITCH = 2,
    NVML_TOPOLOGY_INTERNAL = 0,
    NVML_TOPOLOGY_HOSTBRIDGE = 30,
    NVML_TOPOLOGY_SYSTEM = 50,
    NVML_P2P_CAPS_INDEX_NVLINK = 2,
    NVML_P2P_STATUS_OK = 0,
    NVML_P2P_STATUS_CHIPSET_NOT_SUPPORTED = 1,
    NVML_P2P_STATUS_NOT_SUPPORTED = 5,
    NVML_ECC_UNCORRECTED = 1,
    NVML_ECC_AGGREGATE = 1,
    NVML_MEMORY_LOCATION_DEVICE = 2,
};
#define NVML_MEMORY_NOT_AVAILABLE 0xFFFFFFFFFFFFFFFFULL

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;

typedef struct {
    unsigned int version;
    unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

typedef struct {
    unsigned int gpu, memory;
} nvmlUtilization_t;

/* The layout of versions 2 and 3. */
typedef struct {
    unsigned int pid;
    unsigned long long used_memory;
    unsigned int gpu_instance, compute_instance;
} nvmlProcessInfo_t;

typedef struct {
    unsigned int pid;
    unsigned long long time;
    unsigned int sm, memory, encoder, decoder;
} nvmlProcessUtilizationSample_t;

typedef struct {
    char bus_id[16];
    unsigned int domain, bus, device, device_id, subsystem_id;
    unsigned int reserved[4];
} nvmlPciInfo_v2_t;

typedef struct {
    char bus_id_legacy[16];
    unsigned int domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} nvmlPciInfo_t;

typedef struct {
    unsigned long long l1_cache, l2_cache, device_memory, register_file;
} nvmlEccErrorCounts_t;

typedef struct {
    unsigned long long total, free, used;
} nvmlBAR1Memory_t;

typedef struct {
    unsigned int version;
    unsigned int sensor;
    int temperature;
} nvmlTemperature_v1_t;

typedef struct {
    unsigned int field, scope;
    long long time, latency;
    unsigned int type;
    nvmlReturn_t status;
    union {
        double real;
        unsigned int number;
        unsigned long long long_number;
    } value;
} nvmlFieldValue_t;

typedef struct {
    unsigned int multiprocessors, copy_engines, decoders, encoders, jpeg, ofa;
    unsigned int gpu_slices, compute_slices;
    unsigned long long memory_mib;
} nvmlDeviceAttributes_t;

typedef struct {
    unsigned int start, size;
} nvmlPlacement_t;

typedef struct {
    unsigned int id, p2p, slices, instances, multiprocessors;
    unsigned int copy_engines, decoders, encoders, jpeg, ofa;
    unsigned long long memory_mib;
} nvmlGpuInstanceProfileInfo_t;

typedef struct {
    unsigned int version;
    unsigned int id, p2p, slices, instances, multiprocessors;
    unsigned int copy_engines, decoders, encoders, jpeg, ofa;
    unsigned long long memory_mib;
    char name[96];
} nvmlGpuInstanceProfileInfo_v2_t;

typedef struct {
    nvmlDevice_t device;
    unsigned int id, profile_id;
    nvmlPlacement_t placement;
} nvmlGpuInstanceInfo_t;

typedef struct {
    unsigned int id, slices, instances, multiprocessors;
    unsigned int copy_engines, decoders, encoders, jpeg, ofa;
} nvmlComputeInstanceProfileInfo_t;

typedef struct {
    unsigned int version;
    unsigned int id, slices, instances, multiprocessors;
    unsigned int copy_engines, decoders, encoders, jpeg, ofa;
    char name[96];
} nvmlComputeInstanceProfileInfo_v2_t;

typedef struct {
    nvmlDevice_t device;
    nvmlGpuInstance_t gpu_instance;
    unsigned int id, profile_id;
    nvmlPlacement_t placement;
} nvmlComputeInstanceInfo_t;

/* A struct's version word: its size, and its number in the highest byte. */
#define NVML_VERSION(type, number) ((unsigned int)(sizeof(type) | ((unsigned int)(number) << 24)))

#endif

#pragma once
/* The devices that a context found, and for each backend without one, why. A device answers by
 * itself only after it has passed the conformance self-test; the CPU always answers. */
#include "waggle/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum wg_device_state {
    WG_DEVICE_UNTESTED, /* its self-test has not run yet */
    WG_DEVICE_READY,
    WG_DEVICE_SUSPECT, /* failed in a call: not used until its self-test passes again */
    WG_DEVICE_REJECTED /* gave wrong answers in its self-test */
} wg_device_state;

/* An empty string or a 0 means unknown: nothing here is guessed. */
typedef struct wg_device_info {
    size_t size;
    char backend[16];
    char name[128];
    char driver[64];
    char architecture[32];
    char pci[16];
    uint32_t ordinal; /* within its backend */
    wg_device_state state;
    uint64_t memory_bytes, memory_free_bytes; /* free is live */
    uint32_t group_threads_max, group_memory_bytes;
    bool shares_host_memory;
    uint64_t scans;     /* answered since the context was made */
    uint64_t fallbacks; /* begun here, then answered by the CPU */
} wg_device_info;

typedef struct wg_backend_info {
    size_t size;
    char name[16];
    uint32_t device_count;
    char reason[256]; /* when there is no device: why, in words one can act on */
} wg_backend_info;

#define wg_device_info_init(info) wg_device_info_init_sized((info), sizeof *(info))
WG_API void wg_device_info_init_sized(wg_device_info *info, size_t size);
#define wg_backend_info_init(info) wg_backend_info_init_sized((info), sizeof *(info))
WG_API void wg_backend_info_init_sized(wg_backend_info *info, size_t size);

/* In order of preference; the CPU is last, and always there. */
WG_API size_t wg_device_count(const wg_context *context);
/* WG_ENODEVICE when index >= wg_device_count. */
WG_API WG_CHECKED wg_err wg_device_get(wg_context *context, size_t index, wg_device_info *info);

WG_API size_t wg_backend_count(const wg_context *context);
WG_API WG_CHECKED wg_err wg_backend_get(wg_context *context, size_t index, wg_backend_info *info);

#ifdef __cplusplus
}
#endif

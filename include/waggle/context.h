#pragma once
/* A context owns what a program shares between all its searches: the worker threads, the devices
 * found, and where messages go. A program makes one and keeps it; there is no hidden global state.
 *
 * Any thread may use a context. It must outlive every store and every call made with it. */
#include "waggle/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wg_context wg_context;

typedef enum wg_log_level { WG_LOG_ERROR, WG_LOG_WARNING, WG_LOG_INFO, WG_LOG_DEBUG } wg_log_level;

/* message is one line without a newline, valid during the call. Called from any thread. */
typedef void wg_log_fn(void *user, wg_log_level level, const char *message);

typedef struct wg_context_params {
    size_t size; /* of this struct; set by the init */
    uint32_t threads; /* working on one call, its caller included; 0: one per processor allowed */
    bool fallback_to_cpu; /* a device that fails in a call is replaced by the CPU; default true */
    const char *cpu; /* kernel tier to use: "c", "avx2", "avxvnni", "avx512", "avx512vnni", "amx",
                        on ARM "neon", "neondot", "neoni8mm"; NULL: what WAGGLE_CPU in the
                        environment says, or the best there is */
    const char *backend; /* the only backend to use besides the CPU, or "cpu"; NULL: what
                            WAGGLE_BACKEND in the environment says, or any */
    wg_log_fn *log; /* NULL: nothing is logged */
    void *log_user;
    bool amx; /* the matrix engine may be used where the processor has one; default true. The first
                 context asks Linux for its registers, for the whole process (arch_prctl): frames
                 of signal handlers then grow by 8 KiB. Where that is refused, another tier is
                 used */
} wg_context_params;

#define wg_context_params_init(params) wg_context_params_init_sized((params), sizeof *(params))
WG_API void wg_context_params_init_sized(wg_context_params *params, size_t size);

/* params may be NULL: the defaults. WG_ECONFIG for a tier this processor lacks or a name that is
 * none, WG_ENOMEM. */
WG_API WG_CHECKED wg_err wg_context_create(const wg_context_params *params, wg_context **out);
/* Waits for background work. *context may be NULL, and is NULL afterwards. */
WG_API void wg_context_destroy(wg_context **context);

WG_API uint32_t wg_context_threads(const wg_context *context);
WG_API const char *wg_context_cpu(const wg_context *context); /* the tier in use; static */
/* The names of the kernel tiers that this processor can run, the plainest first, which is "c", and
 * the best last; static. NULL when index is not below their number. Asks Linux for the registers
 * of the matrix engine where there is one, as a context does. */
WG_API const char *wg_cpu_tier_name(size_t index);

/* A flag that stops a running call from another thread: the call returns WG_ECANCELLED within a
 * few milliseconds. One flag may serve many calls; it must outlive them. */
typedef struct wg_cancel wg_cancel;
WG_API WG_CHECKED wg_err wg_cancel_create(wg_cancel **out);
WG_API void wg_cancel_destroy(wg_cancel **cancel);
WG_API void wg_cancel_request(wg_cancel *cancel); /* any thread, also a signal handler */
WG_API void wg_cancel_reset(wg_cancel *cancel);

/* "0.1.0"; static. The macros are the headers', the function the library's. */
#define WG_VERSION_MAJOR 0
#define WG_VERSION_MINOR 1
#define WG_VERSION_PATCH 0
WG_API const char *wg_version(void);

#ifdef __cplusplus
}
#endif

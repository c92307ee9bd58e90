#pragma once
/* A store is a folder of collections. One process writes it at a time; any number may read it while
 * none writes. What a call has acknowledged is on disk, and survives a crash or a power cut.
 *
 * Any thread may use a store; it must outlive the collections opened from it. */
#include "waggle/context.h"
#include "waggle/knn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wg_store wg_store;

typedef struct wg_store_params {
    size_t size;
    bool create; /* make the folder and an empty store where there is none; default true */
    bool read_only; /* share the store with other readers; every write is WG_EREADONLY */
} wg_store_params;

#define wg_store_params_init(params) wg_store_params_init_sized((params), sizeof *(params))
WG_API void wg_store_params_init_sized(wg_store_params *params, size_t size);

/* params may be NULL: the defaults. WG_ENOTFOUND, WG_EBUSY (names the process that has it open),
 * WG_EREADONLY (a folder that cannot be written), WG_EVERSION, WG_ECORRUPT, WG_EIO, WG_ENOMEM. */
WG_API WG_CHECKED wg_err wg_store_open(wg_context *context, const char *path,
                                       const wg_store_params *params, wg_store **out);
/* Every collection must be closed before. *store may be NULL, and is NULL afterwards. */
WG_API void wg_store_close(wg_store **store);

typedef struct wg_collection_params {
    size_t size;
    uint32_t dim; /* 1 to WG_DIM_MAX; must be set */
    wg_metric metric; /* default WG_COSINE: vectors are stored normalised */
} wg_collection_params;

#define wg_collection_params_init(params) \
    wg_collection_params_init_sized((params), sizeof *(params))
WG_API void wg_collection_params_init_sized(wg_collection_params *params, size_t size);

/* A name is 1 to 255 bytes of UTF-8 without control characters. WG_EEXISTS, WG_EINVAL, WG_EDIM,
 * WG_EREADONLY, WG_ENOSPC, WG_EIO, WG_ENOMEM. */
WG_API WG_CHECKED wg_err wg_collection_create(wg_store *store, const char *name,
                                              const wg_collection_params *params);
/* WG_ENOTFOUND; WG_EBUSY while this process has it open. Its files are removed. */
WG_API WG_CHECKED wg_err wg_collection_drop(wg_store *store, const char *name);

/* Names in byte order; name is valid during the call. A visit that returns false ends the list. */
typedef bool wg_name_fn(void *user, const char *name);
WG_API WG_CHECKED wg_err wg_store_list(wg_store *store, wg_name_fn *visit, void *user);

/* Reads everything that the store at path holds and checks every checksum and cross-reference.
 * Each thing found wrong is reported once, as a sentence that says what and where; problem is valid
 * during the call. collection may be NULL: all of them. Needs no open store; WG_EBUSY while a
 * process writes it. WG_OK also when problems were found: problem_count says how many. */
typedef void wg_problem_fn(void *user, const char *problem);
WG_API WG_CHECKED wg_err wg_store_verify(wg_context *context, const char *path,
                                         const char *collection, wg_problem_fn *report, void *user,
                                         uint64_t *problem_count);

#ifdef __cplusplus
}
#endif

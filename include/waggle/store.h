#pragma once
/* A store is a folder of collections. One process writes it at a time; any number of others read it
 * beside that one. What a call has acknowledged is on disk, and survives a crash or a power cut.
 *
 * Any thread may use a store; it must outlive the collections opened from it. A process opens a
 * store once and shares the handle; a child of fork opens its own. */
#include "waggle/context.h"
#include "waggle/knn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wg_store wg_store;

typedef struct wg_store_params {
    size_t size;
    bool create; /* make the folder and an empty store where there is none; default true */
    bool read_only; /* read beside a process that may write; every write is WG_EREADONLY */
    /* 0, the default: a write returns when it is on disk, and is then seen by every search. Else a
     * write returns when it is queued, which acknowledges nothing: it is on disk, and seen, at the
     * next commit, begun at most so many milliseconds later, and a crash before that loses it. A
     * write that fails then is returned by the next write and by wg_collection_flush. */
    uint32_t commit_interval_ms;
    uint32_t open_limit; /* collections with files open at once; default 64; at least 1 */
    uint32_t reader_limit; /* transactions that read one collection at once, over all processes;
                              what the first to open it says holds; default 1022; at least 1 */
} wg_store_params;

#define wg_store_params_init(params) wg_store_params_init_sized((params), sizeof *(params))
WG_API void wg_store_params_init_sized(wg_store_params *params, size_t size);

/* path: a folder; or a file made by wg_collection_export, whose one collection is then read from
 * it; or NULL: an empty store that lives in memory until it is closed. params may be NULL: the
 * defaults. WG_ENOTFOUND, WG_EBUSY (names the process that writes it, or says that this one has it
 * open), WG_EREADONLY (what cannot be written), WG_EVERSION, WG_ECORRUPT, WG_EIO, WG_ENOMEM. */
WG_API WG_CHECKED wg_err wg_store_open(wg_context *context, const char *path,
                                       const wg_store_params *params, wg_store **out);
/* Every collection must be closed before. Writes still queued are committed; a failure is logged.
 * *store may be NULL, and is NULL afterwards. */
WG_API void wg_store_close(wg_store **store);

typedef struct wg_collection_params {
    size_t size;
    uint32_t dim; /* 1 to WG_DIM_MAX, of bits to WG_BITS_DIM_MAX; must be set */
    wg_metric metric; /* default WG_COSINE: vectors are stored normalised (u8: as they are, and
                         scored as if they were) */
    uint64_t history; /* how many changed points the list of changes goes back; default 10,000 */
    bool codes; /* exact searches read eight-bit codes in place of rows, a quarter of the bytes in
                   memory and beside the rows on disk; they change no answer; default true */
    wg_type type; /* how vectors are stored; default WG_F32. WG_BITS goes with WG_HAMMING, and
                     neither with anything else: WG_EINVAL */
} wg_collection_params;

#define wg_collection_params_init(params) \
    wg_collection_params_init_sized((params), sizeof *(params))
WG_API void wg_collection_params_init_sized(wg_collection_params *params, size_t size);

/* A name is 1 to 255 bytes of UTF-8 without control characters. WG_EEXISTS (also an alias of that
 * name), WG_EINVAL, WG_EDIM, WG_EREADONLY, WG_ENOSPC, WG_EIO, WG_ENOMEM. */
WG_API WG_CHECKED wg_err wg_collection_create(wg_store *store, const char *name,
                                              const wg_collection_params *params);
/* WG_ENOTFOUND; WG_EBUSY while this process has it open. Its aliases go, its files are removed. */
WG_API WG_CHECKED wg_err wg_collection_drop(wg_store *store, const char *name);
/* Its aliases follow. Handles stay good; messages go on naming it as it was opened. WG_ENOTFOUND,
 * WG_EEXISTS. */
WG_API WG_CHECKED wg_err wg_collection_rename(wg_store *store, const char *from, const char *to);

/* From now on a collection is also opened by this name. One that is an alias already is switched:
 * whoever opens it gets the one collection or the other, at any moment. WG_ENOTFOUND: there is no
 * such collection. WG_EEXISTS: a collection has that name. */
WG_API WG_CHECKED wg_err wg_alias_set(wg_store *store, const char *alias, const char *collection);
WG_API WG_CHECKED wg_err wg_alias_remove(wg_store *store, const char *alias); /* WG_ENOTFOUND */
/* In byte order of the aliases; both names are valid during the call. False ends the list. */
typedef bool wg_alias_fn(void *user, const char *alias, const char *collection);
WG_API WG_CHECKED wg_err wg_alias_list(wg_store *store, wg_alias_fn *visit, void *user);

/* Names in byte order; name is valid during the call. A visit that returns false ends the list. */
typedef bool wg_name_fn(void *user, const char *name);
WG_API WG_CHECKED wg_err wg_store_list(wg_store *store, wg_name_fn *visit, void *user);

#ifdef __cplusplus
}
#endif

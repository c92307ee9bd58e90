#pragma once
/* A collection holds points: an id, a vector and a payload (a JSON object). Writes are batches,
 * validated whole, applied whole or not at all, on disk when the call returns, and seen by every
 * search that begins afterwards (but see commit_interval_ms in waggle/store.h). Searches
 * (waggle/search.h) never wait for them.
 *
 * Any thread may use a collection; writes that wait at the same time share one commit. Its files
 * are opened when it is used, and may be closed while it is not: any call can return WG_EIO,
 * WG_ECORRUPT and WG_ENOMEM. Close it before its store. */
#include "waggle/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wg_collection wg_collection;

/* name may be an alias. WG_ENOTFOUND, WG_ECORRUPT, WG_EVERSION, WG_EIO, WG_ENOMEM. Opening it twice
 * gives two handles to the same collection. */
WG_API WG_CHECKED wg_err wg_collection_open(wg_store *store, const char *name, wg_collection **out);
/* Every searcher must be destroyed before. *collection may be NULL, and is NULL afterwards. */
WG_API void wg_collection_close(wg_collection **collection);

/* The user's key of a point. Order: numbers, then UUIDs, then strings bytewise. A string that reads
 * as a UUID (8-4-4-4-12 hexadecimal digits, any case) is that UUID. */
typedef enum wg_id_type { WG_ID_NUMBER = 1, WG_ID_UUID = 2, WG_ID_STRING = 3 } wg_id_type;

#define WG_ID_SIZE_MAX  256 /* bytes of a string id; at least 1; UTF-8 without a 0 byte */
#define WG_ID_TEXT_SIZE 260 /* room for any id as text, its quotes and the 0 included */

typedef struct wg_id {
    wg_id_type type;
    uint32_t size; /* of a string, in bytes; else unused */
    union {
        uint64_t number;
        uint8_t uuid[16];
        const char *string; /* size bytes, not necessarily followed by a 0 */
    } as;
} wg_id;

WG_API void wg_id_from_number(uint64_t number, wg_id *out);
/* Borrows string (0-terminated). WG_EINVAL: empty, longer than WG_ID_SIZE_MAX, not UTF-8. */
WG_API WG_CHECKED wg_err wg_id_from_string(const char *string, wg_id *out);
/* The id as people write it: digits, a UUID in lower case, or the string itself. Writes at most
 * room bytes, a 0 included; returns the length of the whole text, as snprintf does. */
WG_API size_t wg_id_format(const wg_id *id, char *text, size_t room);

typedef struct wg_batch {
    size_t size;
    size_t count;
    const wg_id *ids; /* count, each once within the batch */
    union {
        const float *vectors; /* count x dim, row-major */
        const void *data; /* the same, of the type below: count vectors, one behind the other */
    };
    const char *const *payloads; /* count texts, each a JSON object or NULL; or NULL: none */
    const uint64_t
        *if_versions; /* count: point i must have this version, 0: be absent; NULL: any */
    uint64_t *sequence; /* out: of the collection by this write, the points' new version; or NULL */
    wg_type type; /* of data: WG_F32, the default, or the collection's */
} wg_batch;

#define wg_batch_init(batch) wg_batch_init_sized((batch), sizeof *(batch))
WG_API void wg_batch_init_sized(wg_batch *batch, size_t size);

/* Inserts the points; one that exists is replaced, its payload included. dim is what the vectors
 * have, checked against the collection's (WG_EDIM). f32 become the collection's type: f16 by
 * rounding to the nearest, ties to even; u8 and bits take the numbers that they have and no other.
 * WG_EINVAL names the offending item: an id that is empty, too long or twice in the batch, a
 * component that is not finite, exceeds WG_COMPONENT_MAX or does not fit the collection's type, a
 * payload that is not a JSON object. WG_ECONFLICT names the first point that is not what
 * if_versions says. WG_EREADONLY (also after a failed sync, until the store is opened
 * again), WG_ENOSPC, WG_EIO, WG_ENOMEM. After an error nothing of the batch is there, unless the
 * message says that this is unknown. Never queued when if_versions or sequence is asked for. */
WG_API WG_CHECKED wg_err wg_collection_upsert(wg_collection *collection, size_t dim,
                                              const wg_batch *batch);

/* Removes those that exist. deleted may be NULL: how many did. Errors as wg_collection_upsert's. */
WG_API WG_CHECKED wg_err wg_collection_delete(wg_collection *collection, const wg_id *ids,
                                              size_t count, size_t *deleted);

/* Merges the keys of payload, a JSON object, into those of each point that exists; payload NULL
 * clears them. updated may be NULL: how many exist. */
WG_API WG_CHECKED wg_err wg_collection_set_payload(wg_collection *collection, const wg_id *ids,
                                                   size_t count, const char *payload,
                                                   size_t *updated);

/* The same under a condition. */
typedef struct wg_selection {
    size_t size;
    size_t count;
    const wg_id *ids; /* count */
    const uint64_t *if_versions; /* as in wg_batch */
    size_t *touched; /* out: how many of them exist; or NULL */
    uint64_t *sequence; /* as in wg_batch */
} wg_selection;

#define wg_selection_init(selection) wg_selection_init_sized((selection), sizeof *(selection))
WG_API void wg_selection_init_sized(wg_selection *selection, size_t size);

WG_API WG_CHECKED wg_err wg_collection_delete_if(wg_collection *collection,
                                                 const wg_selection *points);
WG_API WG_CHECKED wg_err wg_collection_set_payload_if(wg_collection *collection,
                                                      const wg_selection *points,
                                                      const char *payload);

/* Removes every point. */
WG_API WG_CHECKED wg_err wg_collection_clear(wg_collection *collection);

/* Returns when all that was written before is on disk (waggle/store.h, commit_interval_ms), with
 * the error of a queued write that failed since the last call. */
WG_API WG_CHECKED wg_err wg_collection_flush(wg_collection *collection);

/* Where another process writes: searches from now on see all that it has acknowledged. Without this
 * they do within a second. */
WG_API WG_CHECKED wg_err wg_collection_refresh(wg_collection *collection);

/* Gives back the space of rows that are dead, beyond those that the list of changes still needs.
 * What is worn is compacted in the background anyway; this does it to all, now. One segment of up
 * to 128 MiB is copied at a time. cancel may be NULL. WG_ECANCELLED: what was done stays done. */
WG_API WG_CHECKED wg_err wg_collection_compact(wg_collection *collection, const wg_cancel *cancel);

/* Switches codes on or off, as wg_collection_params.codes does at the beginning: off, searches read
 * rows from now on, and no file with codes is left; the memory of those that were made is given
 * back when the collection's files are closed. Answers are the same. It is kept, and changes no
 * sequence. WG_EREADONLY, WG_ENOSPC, WG_EIO, WG_ENOMEM. */
WG_API WG_CHECKED wg_err wg_collection_set_codes(wg_collection *collection, bool on);

typedef struct wg_point {
    wg_id id;
    bool found; /* false: there is no such point, and the rest is zero */
    uint64_t version; /* of the collection, by the write that last changed the point */
    union {
        const float *vector; /* dim, as stored, of a collection of f32; NULL when not asked for */
        const void *data; /* the same pointer, of any type */
    };
    const char *payload; /* a JSON object, "{}" when empty; NULL when not asked for */
} wg_point;

enum { WG_WITH_VECTOR = 1, WG_WITH_PAYLOAD = 2 };

/* Points read at one moment; what they point to lives as long as this. */
typedef struct wg_points wg_points;
WG_API size_t wg_points_count(const wg_points *points);
WG_API const wg_point *wg_points_at(const wg_points *points, size_t i); /* i < count */
WG_API void wg_points_destroy(wg_points **points);

/* One point per id, in the order asked for; an absent id is a point with found = false. with is a
 * sum of WG_WITH_*. WG_EINVAL, WG_ECORRUPT, WG_EIO, WG_ENOMEM. */
WG_API WG_CHECKED wg_err wg_collection_get(wg_collection *collection, const wg_id *ids,
                                           size_t count, unsigned with, wg_points **out);

/* Up to limit points in id order, those behind the id after (NULL: from the first). Fewer than
 * limit: there are no more. */
WG_API WG_CHECKED wg_err wg_collection_scroll(wg_collection *collection, const wg_id *after,
                                              size_t limit, unsigned with, wg_points **out);

typedef struct wg_collection_info {
    size_t size;
    uint32_t dim;
    wg_metric metric;
    uint64_t count; /* points */
    uint64_t row_count; /* rows ever written and not yet compacted away, dead ones included */
    uint64_t segment_count;
    uint64_t vector_bytes; /* of the rows */
    uint64_t disk_bytes; /* allocated by the collection's files */
    uint64_t epoch; /* of the history: 1, and more after a repair */
    uint64_t sequence; /* of the latest write */
    uint64_t chain_hash; /* over all writes: equal histories, equal hashes */
    uint64_t horizon; /* the list of changes holds those behind this sequence */
    uint64_t coded_row_count; /* rows with eight-bit codes in memory, which exact searches read in
                                 their place; made in the background, or read from beside the rows
                                 by the first search */
    uint64_t code_bytes; /* that these take: memory of the process, no pages of a file; given back
                            when the collection's files are closed (open_limit) */
    uint64_t code_file_bytes; /* of the codes that are kept beside the rows on disk */
    bool codes; /* whether rows have codes: wg_collection_set_codes */
    wg_type type; /* of the stored vectors */
} wg_collection_info;

#define wg_collection_info_init(info) wg_collection_info_init_sized((info), sizeof *(info))
WG_API void wg_collection_info_init_sized(wg_collection_info *info, size_t size);
WG_API WG_CHECKED wg_err wg_collection_info_get(wg_collection *collection,
                                                wg_collection_info *info);
WG_API uint64_t wg_collection_count(const wg_collection *collection); /* points, now */

#ifdef __cplusplus
}
#endif

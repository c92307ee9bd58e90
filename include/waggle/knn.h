#pragma once
/* Exact nearest neighbours among the rows of a caller's array: no store, no index, no set-up. */
#include "waggle/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How two vectors are compared. Scores are the metric's own values, computed in one defined order
 * of additions, so that they have the same bits on every device and for any number of threads. */
typedef enum wg_metric {
    WG_COSINE,    /* dot of the normalised vectors; higher is better */
    WG_DOT,       /* sum of a * b; higher is better */
    WG_EUCLIDEAN, /* square root of the sum of (a - b)^2; lower is better */
    WG_MANHATTAN, /* sum of |a - b|; lower is better */
    WG_CHEBYSHEV, /* largest |a - b|; lower is better */
    WG_HAMMING    /* number of bits that differ, of vectors of bits only; lower is better */
} wg_metric;

WG_API const char *wg_metric_name(wg_metric metric); /* "cosine"; static; NULL: no such metric */
/* WG_EINVAL, naming the metrics there are, for any other text. */
WG_API WG_CHECKED wg_err wg_metric_parse(const char *name, wg_metric *out);

/* Components must be finite and at most this in magnitude. */
#define WG_COMPONENT_MAX 1e15f
#define WG_DIM_MAX       65536u
#define WG_BITS_DIM_MAX  1048576u /* of vectors of bits */

/* How the components of a vector are stored, and given. Each is worth exactly the f32 that it
 * widens to. */
typedef enum wg_type {
    WG_F32,
    WG_F16, /* IEEE binary16, in the processor's order of bytes; finite: at most 65,504 */
    WG_U8,  /* 0 to 255 */
    WG_BITS /* 8 to a byte: component i is bit i % 8 (of value 1 << i % 8) of byte i / 8; a vector
               begins at a byte, and the bits behind its last component are 0 */
} wg_type;

WG_API const char *wg_type_name(wg_type type); /* "f16"; static; NULL: no such type */
/* WG_EINVAL, naming the types there are, for any other text. */
WG_API WG_CHECKED wg_err wg_type_parse(const char *name, wg_type *out);
/* Bytes of a vector of dim components of that type. */
WG_API size_t wg_type_vector_size(wg_type type, size_t dim);

/* Fills the place of a neighbour that there is not, when k exceeds the rows. */
#define WG_NO_ROW UINT64_MAX

typedef struct wg_knn_params {
    size_t size;
    wg_metric metric;
    size_t k;             /* neighbours for each query, at least 1; default 10 */
    size_t dim;           /* 1 to WG_DIM_MAX */
    const float *rows;    /* row_count x dim, row-major; borrowed for the call */
    size_t row_count;     /* 0 is fine */
    const float *queries; /* query_count x dim, row-major; borrowed for the call */
    size_t query_count;   /* 0 is fine */
    uint64_t timeout_ms;  /* 0: none */
    const wg_cancel *cancel; /* may be NULL */
    float threshold; /* the worst score to be found: cosine and dot at least this, distances at
                        most; NaN, the default: any */
} wg_knn_params;

#define wg_knn_params_init(params) wg_knn_params_init_sized((params), sizeof *(params))
WG_API void wg_knn_params_init_sized(wg_knn_params *params, size_t size);

/* Writes, for each query, its k nearest rows, best first, equal scores by row: found_rows and
 * found_scores are query_count x k, the caller's. Where fewer rows are found the places left hold
 * WG_NO_ROW and NaN. A cosine search normalises the rows into a copy first. For 64 queries and more
 * against 8,192 rows and more, at least 64 for each of the k, by cosine, dot or L2, eight-bit codes
 * of the rows are made first, in about a quarter of the rows' memory. The caller's thread works
 * too; any number of threads may call at once.
 *
 * WG_EINVAL (a component that is not finite or too large: names which), WG_EDIM, WG_ENOMEM,
 * WG_ETIMEOUT, WG_ECANCELLED. After an error the contents of the two arrays are undefined. */
WG_API WG_CHECKED wg_err wg_knn(wg_context *context, const wg_knn_params *params,
                                uint64_t *found_rows, float *found_scores);

typedef struct wg_knn_graph_params {
    size_t size;
    wg_metric metric;
    size_t k;          /* neighbours of each row, at least 1; default 10 */
    size_t dim;        /* 1 to WG_DIM_MAX */
    const float *rows; /* row_count x dim, row-major; borrowed for the call */
    size_t row_count;  /* 0 is fine */
    uint64_t timeout_ms;     /* 0: none */
    const wg_cancel *cancel; /* may be NULL */
} wg_knn_graph_params;

#define wg_knn_graph_params_init(params) wg_knn_graph_params_init_sized((params), sizeof *(params))
WG_API void wg_knn_graph_params_init_sized(wg_knn_graph_params *params, size_t size);

/* The exact k-nearest-neighbour graph: for each row the k nearest of the others, as wg_knn finds
 * them; a row equal to it is a neighbour like any other. found_rows and found_scores are row_count
 * x k. Errors as of wg_knn. */
WG_API WG_CHECKED wg_err wg_knn_graph(wg_context *context, const wg_knn_graph_params *params,
                                      uint64_t *found_rows, float *found_scores);

#ifdef __cplusplus
}
#endif

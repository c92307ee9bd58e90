#pragma once
/* The demo's parts: Fashion-MNIST, its searches and their figures, an independent truth,
 * pictures. */
#include "cli/output.h"
#include "cli/session.h"

#include <stddef.h>
#include <stdint.h>

enum { DEMO_K = 10, DEMO_BATCH = 100, DEMO_LABELS = 10, DEMO_SIDE = 28 };

/* What the ten labels are called. */
const char *demo_label_name(unsigned label);

struct demo_data {
    char train_path[512]; /* the images that are imported, one by one from this file */
    unsigned char *labels; /* of these */
    size_t train_count, dim; /* dim: DEMO_SIDE x DEMO_SIDE */
    float *queries; /* query_count x dim: the test images */
    unsigned char *query_labels;
    size_t query_count;
};

/* Reads the four files of a folder; WG_ENOTFOUND hints at the package that brings them. */
WG_CHECKED wg_err demo_data_load(const char *folder, struct demo_data *out);
void demo_data_fini(struct demo_data *data);

/* What the searches gave. */
struct demo_figures {
    uint64_t *nearest; /* query_count: id of the nearest */
    uint64_t *found; /* query_count x DEMO_K: ids */
    double batched_seconds;
    double single_seconds, p50, p95, p99; /* of single queries */
    size_t single_count;
    double right_label; /* share of queries whose nearest has their label */
    wg_search_report report;
};

/* All queries in batches, then single_count of them, evenly spaced, one by one. */
WG_CHECKED wg_err demo_search(struct session *session, const struct demo_data *data,
                              size_t single_count, struct demo_figures *out);
void demo_figures_fini(struct demo_figures *figures);

/* Share of the nearest DEMO_K of sample queries, evenly spaced, that were found: by distances in
 * float64 from the file, not from the store. */
WG_CHECKED wg_err demo_recall(const struct demo_data *data, const struct demo_figures *figures,
                              size_t sample, double *recall);

/* An image to draw, with two lines of text below. */
struct demo_picture {
    float pixels[DEMO_SIDE * DEMO_SIDE]; /* 0 to 255 */
    char title[64], subtitle[64];
    enum output_style style; /* of the title */
};

/* Side by side, as large as the terminal's width allows. */
void demo_pictures_print(const struct demo_picture *pictures, size_t count);

#include "cli/demo.h"
#include "cli/reader.h"

#include <stdio.h>
#include <string.h>

enum { ROWS_AT_ONCE = 4096 };

static const char *const names[DEMO_LABELS] = {
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot",
};

const char *demo_label_name(unsigned label)
{
    return label < DEMO_LABELS ? names[label] : "unknown";
}

/* A whole file: *count x *dim floats, the caller's to heap_free. */
static wg_err read_all(const char *path, float **rows, size_t *count, size_t *dim)
{
    wg_err err = WG_OK;
    struct reader *reader = NULL;
    struct point_batch batch = { 0 };
    float *all = NULL;
    size_t done = 0;
    struct reader_params params = { .path = path, .format = "idx" };
    TRY(reader_open(&params, &reader));
    *dim = reader_dim(reader);
    point_batch_init(&batch, ROWS_AT_ONCE, *dim);
    for (;;) {
        TRY(reader_next(reader, UINT64_MAX, &batch));
        if (batch.count == 0) break;
        heap_resize(&all, (done + batch.count) * *dim);
        memcpy(all + done * *dim, batch.vectors, batch.count * *dim * sizeof *all);
        done += batch.count;
    }
    *rows = all;
    *count = done;
    all = NULL;
out:
    heap_free(&all);
    point_batch_fini(&batch);
    reader_close(&reader);
    return err;
}

static wg_err read_labels(const char *path, unsigned char **labels, size_t *count)
{
    float *rows = NULL;
    size_t dim;
    wg_err err = WG_OK;
    TRY(read_all(path, &rows, count, &dim));
    if (dim != 1) {
        err = fail(WG_EINVAL, "%s: expected labels, got vectors of %zu dimensions", path, dim);
        goto out;
    }
    heap_resize(labels, *count);
    for (size_t i = 0; i < *count; i++) {
        if (rows[i] >= (float)DEMO_LABELS) {
            err = fail(WG_EINVAL, "%s: label %zu is %g, expected 0 to 9", path, i, (double)rows[i]);
            goto out;
        }
        (*labels)[i] = (unsigned char)rows[i];
    }
out:
    heap_free(&rows);
    return err;
}

static const char *path_in(const char *folder, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

static wg_err check(const struct demo_data *data, const char *folder, size_t query_label_count)
{
    if (data->dim != DEMO_SIDE * DEMO_SIDE)
        return fail(WG_EINVAL, "%s: images have %zu pixels, expected %d", folder, data->dim,
                    DEMO_SIDE * DEMO_SIDE);
    if (data->query_count != query_label_count)
        return fail(WG_EINVAL, "%s: %zu test images, but %zu labels", folder, data->query_count,
                    query_label_count);
    return WG_OK;
}

wg_err demo_data_load(const char *folder, struct demo_data *out)
{
    char path[512];
    wg_err err = WG_OK;
    struct demo_data data = { .dim = 0 };
    size_t query_label_count;
    path_in(folder, "train-images-idx3-ubyte.gz", data.train_path);
    TRY(read_labels(path_in(folder, "train-labels-idx1-ubyte.gz", path), &data.labels,
                    &data.train_count));
    TRY(read_labels(path_in(folder, "t10k-labels-idx1-ubyte.gz", path), &data.query_labels,
                    &query_label_count));
    TRY(read_all(path_in(folder, "t10k-images-idx3-ubyte.gz", path), &data.queries,
                 &data.query_count, &data.dim));
    TRY(check(&data, folder, query_label_count));
    *out = data;
    data = (struct demo_data){ .dim = 0 };
out:
    demo_data_fini(&data);
    if (err == WG_ENOTFOUND)
        fail_hint(err, "Fashion-MNIST comes with: apt-get install dataset-fashion-mnist");
    return err;
}

void demo_data_fini(struct demo_data *data)
{
    heap_free(&data->labels);
    heap_free(&data->queries);
    heap_free(&data->query_labels);
}

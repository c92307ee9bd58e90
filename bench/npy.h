#pragma once
/* The two-dimensional f32 .npy files that bench/vectors.py writes: 128 bytes of header, then the
 * values. */
#include "os/file.h"

enum { NPY_HEADER_SIZE = 128 };

struct npy {
    const void *map; /* of the whole file */
    size_t map_size;
    const float *values;
    size_t count; /* of values */
};

static inline wg_err npy_open(const char *path, struct npy *out)
{
    struct file file;
    uint64_t size;
    wg_err err = file_open(path, FILE_READ, &file);
    if (err != WG_OK) return err;
    TRY(file_size(&file, &size));
    if (size < NPY_HEADER_SIZE) TRY(wg_fail(WG_EINVAL, "%s: too short", path));
    out->map_size = (size_t)size;
    TRY(file_map(&file, 0, out->map_size, &out->map));
    out->values = (const float *)((const char *)out->map + NPY_HEADER_SIZE);
    out->count = (out->map_size - NPY_HEADER_SIZE) / sizeof(float);
out:
    file_close(&file);
    return err;
}

static inline void npy_close(struct npy *npy)
{
    if (npy->map) file_unmap(&npy->map, npy->map_size);
}

/* normalise DIM FILE.npy: writes the rows of FILE to standard output, f32, each divided by its
 * length, which is taken in double. Rows of zeros stay. */
#include "bench/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIM_MAX = 4096 };

static bool write_row(const float *row, size_t dim)
{
    float unit[DIM_MAX];
    double squares = 0;
    for (size_t i = 0; i < dim; i++) squares += (double)row[i] * (double)row[i];
    double length = squares > 0 ? sqrt(squares) : 1;
    for (size_t i = 0; i < dim; i++) unit[i] = (float)((double)row[i] / length);
    return fwrite(unit, sizeof *unit, dim, stdout) == dim;
}

static wg_err write_rows(const char *path, size_t dim)
{
    wg_err err = WG_OK;
    struct npy npy = { 0 };
    TRY(npy_open(path, &npy));
    for (size_t r = 0; r < npy.count / dim; r++)
        if (!write_row(npy.values + r * dim, dim)) TRY(wg_fail(WG_EIO, "cannot write"));
    if (fflush(stdout) != 0) TRY(wg_fail(WG_EIO, "cannot write"));
out:
    npy_close(&npy);
    return err;
}

int main(int argument_count, char **arguments)
{
    size_t dim = argument_count == 3 ? strtoull(arguments[1], NULL, 10) : 0;
    if (dim < 1 || dim > DIM_MAX) {
        fprintf(stderr, "usage: normalise DIM FILE.npy (DIM up to %d)\n", DIM_MAX);
        return 2;
    }
    if (write_rows(arguments[2], dim) == WG_OK) return 0;
    fprintf(stderr, "normalise: %s\n", wg_message());
    return 1;
}

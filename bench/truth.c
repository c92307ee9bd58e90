/* truth dot|l2 K DIM ROWS.npy QUERIES.npy: the K best rows of each query by a full scan in double,
 * written to standard output as a line of "row score" pairs for each query. It shares no code with
 * the search: no kernel, no heap. */
#include "bench/npy.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { K_MAX = 100, CHAINS = 8 };

struct found {
    size_t row;
    double value; /* the lower the better */
};

static double value_of(bool dot, const float *a, const float *b, size_t dim)
{
    double sums[CHAINS] = { 0 }, sum = 0; /* several, because one waits for itself */
    for (size_t i = 0; i < dim; i++) {
        double x = a[i], y = b[i];
        sums[i % CHAINS] += dot ? -x * y : (x - y) * (x - y);
    }
    for (size_t i = 0; i < CHAINS; i++) sum += sums[i];
    return sum;
}

static void insert(struct found *best, size_t k, struct found new)
{
    size_t at = k - 1;
    if (!(new.value < best[at].value)) return;
    for (; at > 0 && new.value < best[at - 1].value; at--) best[at] = best[at - 1];
    best[at] = new;
}

static void search(bool dot, size_t k, const struct npy *rows, const float *query, size_t dim)
{
    struct found best[K_MAX];
    for (size_t i = 0; i < k; i++) best[i] = (struct found){ 0, INFINITY };
    for (size_t r = 0; r < rows->count / dim; r++)
        insert(best, k, (struct found){ r, value_of(dot, query, rows->values + r * dim, dim) });
    for (size_t i = 0; i < k; i++) {
        double score = dot ? -best[i].value : sqrt(best[i].value);
        printf("%zu %.17g%c", best[i].row, score, i + 1 < k ? ' ' : '\n');
    }
}

int main(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct npy rows = { 0 }, queries = { 0 };
    if (argument_count != 6) {
        fprintf(stderr, "usage: truth dot|l2 K DIM ROWS.npy QUERIES.npy\n");
        return 2;
    }
    bool dot = strcmp(arguments[1], "dot") == 0;
    size_t k = strtoull(arguments[2], NULL, 10), dim = strtoull(arguments[3], NULL, 10);
    if (k < 1 || k > K_MAX || dim < 1) {
        fprintf(stderr, "truth: K is %zu, expected 1 to %d; DIM is %zu\n", k, K_MAX, dim);
        return 2;
    }
    TRY(npy_open(arguments[4], &rows));
    TRY(npy_open(arguments[5], &queries));
    for (size_t q = 0; q < queries.count / dim; q++)
        search(dot, k, &rows, queries.values + q * dim, dim);
out:
    if (err != WG_OK) fprintf(stderr, "truth: %s\n", wg_message());
    npy_close(&rows);
    npy_close(&queries);
    return err == WG_OK ? 0 : 1;
}

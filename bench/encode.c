/* encode dot|l2 DIM FILE.npy: how fast one core makes eight-bit codes of rows in memory. Each line
 * of standard input is a number of passes, in each of which all rows are coded anew; the answer is
 * a line of JSON: the seconds they took, of these the seconds for getting memory and choosing
 * centre and scale, and those that the thread waited for its core; and the bytes of the rows that a
 * pass codes. */
#include "quant/encode.h"
#include "api/context.h"
#include "base/mem.h"
#include "bench/npy.h"
#include "bench/waited.h"
#include "os/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double seconds_since(uint64_t start)
{
    return (double)(clock_ns() - start) * 1e-9;
}

/* Adds to creating what creating took. */
static wg_err pass(const struct encode_params *params, double *creating)
{
    uint64_t start = clock_ns();
    struct codes *codes;
    wg_err err = codes_create(params, &codes);
    if (err != WG_OK) return err;
    *creating += seconds_since(start);
    codes_cover(codes, params->kernels, params->rows, params->row_count);
    codes_destroy(&codes);
    return WG_OK;
}

static wg_err serve(const struct encode_params *params)
{
    wg_err err = WG_OK;
    unsigned passes;
    uint64_t rows = params->row_count / PANEL_ROWS * PANEL_ROWS;
    while (scanf("%u", &passes) == 1) {
        double waited = waited_seconds(), creating = 0;
        uint64_t start = clock_ns();
        for (unsigned i = 0; i < passes; i++) TRY(pass(params, &creating));
        double seconds = seconds_since(start);
        printf("{\"seconds\": %.9f, \"creating\": %.9f, \"waited\": %.9f, \"bytes\": %llu}\n",
               seconds, creating, waited_seconds() - waited,
               (unsigned long long)(rows * params->dim * sizeof(float)));
        fflush(stdout);
    }
out:
    return err;
}

static wg_err serve_rows(struct encode_params *params, const struct npy *npy, float **rows)
{
    wg_err err = WG_OK;
    wg_context *context = NULL;
    wg_context_params context_params;
    wg_context_params_init(&context_params);
    context_params.threads = 1;
    context_params.backend = "cpu";
    TRY(wg_context_create(&context_params, &context));
    TRY(mem_resize(rows, npy->count));
    memcpy(*rows, npy->values, npy->count * sizeof **rows);
    params->kernels = device_set_kernels(context->devices);
    params->rows = *rows;
    params->row_count = params->capacity = npy->count / params->dim;
    if (params->row_count < PANEL_ROWS) TRY(wg_fail(WG_EINVAL, "too few rows"));
    TRY(serve(params));
out:
    wg_context_destroy(&context);
    return err;
}

int main(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct npy npy = { 0 };
    struct encode_params params = { 0 };
    float *rows = NULL;
    if (argument_count != 4) {
        fprintf(stderr, "usage: encode dot|l2 DIM FILE.npy\n");
        return 2;
    }
    params.metric = strcmp(arguments[1], "dot") == 0 ? METRIC_DOT : METRIC_L2;
    params.dim = strtoull(arguments[2], NULL, 10);
    if (params.dim < 1) TRY(wg_fail(WG_EINVAL, "DIM is 0"));
    TRY(npy_open(arguments[3], &npy));
    TRY(serve_rows(&params, &npy, &rows));
out:
    if (err != WG_OK) fprintf(stderr, "encode: %s\n", wg_message());
    mem_free(&rows);
    npy_close(&npy);
    return err == WG_OK ? 0 : 1;
}

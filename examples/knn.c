/* knn.h: the three nearest of five points in a plane. No store, no index. */
#include <waggle/knn.h>

#include <stdio.h>

#define TRY(call) \
    if ((err = (call)) != WG_OK) goto out

int main(void)
{
    static const float points[5][2] = { { 0, 0 }, { 1, 0 }, { 0, 2 }, { 3, 3 }, { 5, 1 } };
    static const float query[2] = { 1, 1 };
    uint64_t rows[3];
    float distances[3];
    wg_context *context = NULL;
    wg_err err;
    TRY(wg_context_create(NULL, &context));

    wg_knn_params params;
    wg_knn_params_init(&params);
    params.metric = WG_EUCLIDEAN;
    params.k = 3;
    params.dim = 2;
    params.rows = &points[0][0];
    params.row_count = 5;
    params.queries = query;
    params.query_count = 1;
    TRY(wg_knn(context, &params, rows, distances));
    for (size_t i = 0; i < params.k; i++)
        printf("point %llu at distance %.3f\n", (unsigned long long)rows[i], distances[i]);
out:
    if (err != WG_OK) fprintf(stderr, "knn: %s\n", wg_message());
    wg_context_destroy(&context);
    return err != WG_OK;
}

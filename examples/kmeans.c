/* kmeans.h: six points in a plane, in two clusters. */
#include <waggle/kmeans.h>

#include <stdio.h>

#define TRY(call) \
    if ((err = (call)) != WG_OK) goto out

int main(void)
{
    static const float points[6][2] = {
        { 0, 0 }, { 5, 5 }, { 0, 1 }, { 6, 5 }, { 1, 0 }, { 5, 6 }
    };
    float centroids[2][2];
    uint32_t assignments[6];
    uint64_t sizes[2];
    wg_context *context = NULL;
    wg_err err;
    TRY(wg_context_create(NULL, &context));

    wg_kmeans_params params;
    wg_kmeans_params_init(&params);
    params.cluster_count = 2;
    params.dim = 2;
    params.rows = points[0];
    params.row_count = 6;
    params.seed = 7; /* the same seed, the same answer */
    TRY(wg_kmeans(context, &params, centroids[0], assignments, sizes, NULL));
    for (size_t c = 0; c < 2; c++)
        printf("cluster %zu of %llu points around (%.2f, %.2f)\n", c, (unsigned long long)sizes[c],
               centroids[c][0], centroids[c][1]);
    for (size_t i = 0; i < 6; i++) printf("point %zu: cluster %u\n", i, assignments[i]);
out:
    if (err != WG_OK) fprintf(stderr, "kmeans: %s\n", wg_message());
    wg_context_destroy(&context);
    return err != WG_OK;
}

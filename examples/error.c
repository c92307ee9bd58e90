/* error.h: a function that fails says what was wrong, as a code to act on and a text to show. */
#include <waggle/waggle.h>

#include <stdio.h>

int main(void)
{
    wg_metric metric;
    wg_err err = wg_metric_parse("jaccard", &metric);
    if (err == WG_OK) return 1; /* there is no such metric */

    printf("name     %s\n", wg_err_name(err));
    printf("text     %s\n", wg_err_text(err));
    printf("HTTP     %d\n", wg_err_http(err));
    printf("message  %s\n", wg_message());

    if (wg_metric_parse("cosine", &metric) != WG_OK) {
        fprintf(stderr, "error: %s\n", wg_message());
        return 1;
    }
    printf("and \"%s\" is one\n", wg_metric_name(metric));
    return 0;
}

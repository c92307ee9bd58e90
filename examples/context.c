/* context.h: one context per program, with the threads, the log and the processor's kernels. */
#include <waggle/context.h>

#include <stdio.h>

static void print_log(void *user, wg_log_level level, const char *message)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    fprintf(user, "[%s] %s\n", names[level], message);
}

int main(void)
{
    wg_context_params params;
    wg_context_params_init(&params);
    params.threads = 2;
    params.log = print_log;
    params.log_user = stderr;

    wg_context *context;
    if (wg_context_create(&params, &context) != WG_OK) {
        fprintf(stderr, "context: %s\n", wg_message());
        return 1;
    }
    printf("Waggle %s, %u threads, kernels for %s\n", wg_version(), wg_context_threads(context),
           wg_context_cpu(context));
    for (size_t i = 0; wg_cpu_tier_name(i); i++) printf("tier %zu: %s\n", i, wg_cpu_tier_name(i));
    wg_context_destroy(&context);
    return 0;
}

// The headers are C, and C++ includes them as they are.
#include <waggle/waggle.h>

#include <cstdio>
#include <memory>

struct context_deleter {
    void operator()(wg_context *context) const { wg_context_destroy(&context); }
};

int main()
{
    wg_context *made = nullptr;
    if (wg_context_create(nullptr, &made) != WG_OK) {
        std::fprintf(stderr, "waggle: %s\n", wg_message());
        return 1;
    }
    std::unique_ptr<wg_context, context_deleter> context(made);
    std::printf("Waggle %s from C++, %u threads\n", wg_version(), wg_context_threads(made));
    return 0;
}

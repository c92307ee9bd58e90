#include "support/content.h"

#include "base/checksum.h"
#include "support/check.h"

#include <stdio.h>
#include <string.h>

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    return checksum64(bytes, size, hash);
}

static uint64_t mix_number(uint64_t hash, uint64_t number)
{
    return mix(hash, &number, sizeof number);
}

static uint64_t mix_point(uint64_t hash, const wg_point *point, uint32_t dim)
{
    char text[WG_ID_TEXT_SIZE];
    must(point->found, "a scrolled point is not found");
    hash = mix(hash, text, wg_id_format(&point->id, text, sizeof text));
    hash = mix_number(hash, point->id.type);
    hash = mix_number(hash, point->version);
    hash = mix(hash, point->vector, dim * sizeof *point->vector);
    return mix(hash, point->payload, strlen(point->payload));
}

uint64_t content_fingerprint(wg_collection *collection)
{
    enum { PAGE = 100 };
    wg_collection_info info;
    wg_collection_info_init(&info);
    must_ok(wg_collection_info_get(collection, &info));
    uint64_t hash = mix_number(0, info.dim), seen = 0;
    hash = mix_number(mix_number(hash, info.metric), info.count);
    hash = mix_number(mix_number(hash, info.sequence), info.chain_hash);
    wg_points *page = NULL;
    for (size_t count = PAGE; count == PAGE;) {
        wg_points *next = NULL;
        const wg_id *after = page ? &wg_points_at(page, PAGE - 1)->id : NULL;
        must_ok(wg_collection_scroll(collection, after, PAGE, WG_WITH_VECTOR | WG_WITH_PAYLOAD,
                                     &next));
        wg_points_destroy(&page);
        page = next;
        count = wg_points_count(page);
        for (size_t i = 0; i < count; i++) hash = mix_point(hash, wg_points_at(page, i), info.dim);
        seen += count;
    }
    wg_points_destroy(&page);
    must(seen == info.count, "%zu points scrolled, %zu counted", (size_t)seen, (size_t)info.count);
    return hash;
}

static void print_problem(void *user, const char *problem)
{
    (void)user;
    fprintf(stderr, "verify: %s\n", problem);
}

uint64_t content_problems(wg_context *context, const char *path)
{
    uint64_t count = UINT64_MAX;
    must_ok(wg_store_verify(context, path, NULL, print_problem, NULL, &count));
    return count;
}

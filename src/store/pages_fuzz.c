/* An LMDB file of any bytes: it is refused, or what is wrong is told, or its tables are walked; and
 * where nothing is wrong the walks agree with the check. The seeds have pages of 256 or 512 bytes,
 * which LMDB itself would read, so that much of a tree fits in little. */
#include "base/mem.h"
#include "store/pages.h"
#include "support/check.h"

#include <inttypes.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const tables[] = { "a", "bb", "ccc" };
enum { TABLES = sizeof tables / sizeof tables[0] };

struct walked {
    const uint8_t *data;
    size_t size;
    struct bytes before;
    bool in_order;
};

static void must_be_within(const struct walked *walked, struct bytes bytes)
{
    const uint8_t *start = bytes.start;
    must(start >= walked->data && bytes.size <= walked->size &&
             (size_t)(start - walked->data) <= walked->size - bytes.size,
         "%zu bytes are not the file's", bytes.size);
    for (size_t i = 0; i < bytes.size; i++) (void)((const volatile uint8_t *)start)[i];
}

static wg_err look(void *user, struct bytes key, struct bytes value)
{
    struct walked *walked = user;
    struct bytes before = walked->before;
    must_be_within(walked, key);
    must_be_within(walked, value);
    must(key.size > 0 && key.size <= DB_KEY_MAX, "a key of %zu bytes", key.size);
    size_t shared = before.size < key.size ? before.size : key.size;
    int order = before.start ? memcmp(before.start, key.start, shared) : -1;
    if (order > 0 || (order == 0 && before.size >= key.size)) walked->in_order = false;
    walked->before = key;
    return WG_OK;
}

static void hear(void *user, const char *text)
{
    (void)user;
    must(strncmp(text, "page ", 5) == 0 || strncmp(text, "data.mdb", 8) == 0, "\"%s\"", text);
}

static void read_file(const struct pages *pages, const uint8_t *data, size_t size)
{
    struct pages_report report = { .problem = hear };
    must_ok(pages_check(pages, tables, TABLES, &report));
    bool sound = report.problem_count == 0;
    for (size_t t = 0; t < TABLES; t++) {
        struct walked walked = { .data = data, .size = size, .in_order = true };
        report.problem_count = 0;
        must_ok(pages_walk_table(pages, tables[t], look, &walked, &report));
        must(!sound || report.problem_count == 0, "only the walk of %s finds it", tables[t]);
        must(!sound || walked.in_order, "%s is not in order", tables[t]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pages pages;
    size_t before = mem_in_use();
    wg_err err = pages_open(data, size, PAGES_NEWEST, &pages);
    must(err == WG_OK || (err == WG_ECORRUPT && wg_message()[0]), "%d", err);
    if (err == WG_OK) {
        uint64_t newest = pages.txn_id;
        read_file(&pages, data, size);
        err = pages_open(data, size, newest - 1, &pages);
        must(err == WG_OK || ((err == WG_ENOTFOUND || err == WG_ECORRUPT) && wg_message()[0]), "%d",
             err);
        if (err == WG_OK) read_file(&pages, data, size);
    }
    must(mem_in_use() == before, "memory is left");
    return 0;
}

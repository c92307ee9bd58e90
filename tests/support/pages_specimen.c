#include "support/pages_specimen.h"

#include "support/check.h"

#include <stdio.h>
#include <string.h>

const char *const specimen_names[SPECIMEN_TABLES] = { "deep", "empty", "long", "one" };

static struct made_entry deep[SPECIMEN_ENTRIES], longs[SPECIMEN_LONG], one;
static unsigned char deep_bytes[SPECIMEN_ENTRIES][32], long_value[4 * 32768];

/* Keys of 2 to 11 bytes, and values of 0 to 19. */
static void make_entries(void)
{
    for (unsigned i = 0; i < SPECIMEN_ENTRIES; i++) {
        char *text = (char *)deep_bytes[i];
        int length =
            snprintf(text, sizeof deep_bytes[i], "%02u%.*s", i, (int)(i % 10), "abcdefghi");
        deep[i].key = (struct bytes){ text, (size_t)length };
        memset(text + length, 'v', i % 20);
        deep[i].value = (struct bytes){ text + length, i % 20 };
    }
    for (size_t i = 0; i < sizeof long_value; i++) long_value[i] = (unsigned char)(i * 7);
    for (unsigned i = 0; i < SPECIMEN_LONG; i++)
        longs[i] = (struct made_entry){ { &"abc"[i], 1 }, { long_value + i, 200 + 300 * i } };
    one = (struct made_entry){ { "k", 1 }, { "value", 5 } };
}

struct made specimen_create(size_t page_size)
{
    make_entries();
    const struct made_table tables[] = {
        { "deep", deep, SPECIMEN_ENTRIES },
        { "empty", NULL, 0 },
        { "long", longs, SPECIMEN_LONG },
        { "one", &one, 1 },
    };
    return made_create(&(struct made_params){ .page_size = page_size,
                                              .txn_id = SPECIMEN_TXN,
                                              .tables = tables,
                                              .table_count = SPECIMEN_TABLES,
                                              .free_count = SPECIMEN_FREE });
}

static void hear(void *user, const char *text)
{
    struct told *told = user;
    must(text[0] && strlen(text) < sizeof told->first, "a problem without a text");
    if (told->report.problem_count == 1) snprintf(told->first, sizeof told->first, "%s", text);
    size_t end = strlen(told->all);
    snprintf(told->all + end, sizeof told->all - end, "%s\n", text);
}

void told_begin(struct told *told)
{
    told->report = (struct pages_report){ .problem = hear, .user = told };
    told->first[0] = told->all[0] = 0;
}

uint64_t specimen_check(const struct made *made, struct told *told)
{
    struct pages pages;
    told_begin(told);
    wg_err err = pages_open(made->bytes, made->size, PAGES_NEWEST, &pages);
    if (err == WG_OK) {
        must_ok(pages_check(&pages, specimen_names, SPECIMEN_TABLES, &told->report));
        return told->report.problem_count;
    }
    must(err == WG_ECORRUPT && wg_message()[0], "%d: \"%s\"", err, wg_message());
    snprintf(told->first, sizeof told->first, "%s", wg_message());
    return told->report.problem_count = 1;
}

uint64_t specimen_problems(const struct made *made)
{
    struct told told;
    return specimen_check(made, &told);
}

void specimen_assert_sound(const struct made *made)
{
    struct told told;
    if (specimen_check(made, &told) > 0) fail_msg("told: %s", told.first);
}

static bool same(struct bytes a, struct bytes b)
{
    return a.size == b.size && memcmp(a.start, b.start, a.size) == 0;
}

static wg_err look(void *user, struct bytes key, struct bytes value)
{
    struct walked *walked = user;
    size_t i = walked->count++;
    for (size_t b = 0; b < value.size; b += 64) (void)((const volatile char *)value.start)[b];
    if (i < walked->entry_count && same(key, walked->entries[i].key))
        walked->in_order += same(value, walked->entries[i].value);
    for (i = 0; i < walked->entry_count; i++)
        if (same(key, walked->entries[i].key))
            walked->right += same(value, walked->entries[i].value);
    return WG_OK;
}

struct walked specimen_walk(const struct made *made, const char *name, struct told *told)
{
    struct pages pages;
    struct walked walked = { 0 };
    if (strcmp(name, "deep") == 0) walked = (struct walked){ deep, SPECIMEN_ENTRIES, 0, 0, 0 };
    if (strcmp(name, "long") == 0) walked = (struct walked){ longs, SPECIMEN_LONG, 0, 0, 0 };
    if (strcmp(name, "one") == 0) walked = (struct walked){ &one, 1, 0, 0, 0 };
    told_begin(told);
    if (pages_open(made->bytes, made->size, PAGES_NEWEST, &pages) == WG_OK)
        must_ok(pages_walk_table(&pages, name, look, &walked, &told->report));
    return walked;
}

void specimen_walk_all(const struct made *made)
{
    struct told told;
    for (size_t i = 0; i < SPECIMEN_TABLES; i++)
        (void)specimen_walk(made, specimen_names[i], &told);
}

static bool is_page(const struct made *made, size_t page, unsigned flags)
{
    uint64_t number;
    memcpy(&number, made->bytes + page, sizeof number);
    return number == page / SPECIMEN_PAGE && made->bytes[page + 10] == flags;
}

size_t specimen_find(const struct made *made, unsigned flags, char letter)
{
    for (size_t page = 2 * SPECIMEN_PAGE; page < made->size; page += SPECIMEN_PAGE) {
        uint16_t offset;
        memcpy(&offset, made->bytes + page + PAGE_HEAD, sizeof offset);
        if (is_page(made, page, flags) &&
            (letter == 0 || made->bytes[page + offset + NODE_HEAD] == letter))
            return page;
    }
    fail_msg("no page with flags %u", flags);
    return 0;
}

unsigned char *specimen_node(const struct made *made, size_t page, unsigned i)
{
    uint16_t offset;
    memcpy(&offset, made->bytes + page + PAGE_HEAD + 2 * i, sizeof offset);
    return made->bytes + page + offset;
}

size_t specimen_node_count(const struct made *made, size_t page)
{
    uint16_t lower;
    memcpy(&lower, made->bytes + page + 12, sizeof lower);
    return (lower - PAGE_HEAD) / 2u;
}

unsigned char *specimen_record(const struct made *made, const char *table)
{
    if (!table) return made->bytes + 40 + sizeof(struct pages_tree);
    for (size_t page = 2 * SPECIMEN_PAGE; page < made->size; page += SPECIMEN_PAGE)
        for (unsigned i = 0; is_page(made, page, 2) && i < specimen_node_count(made, page); i++) {
            unsigned char *node = specimen_node(made, page, i);
            if (node[4] == 2 && memcmp(node + NODE_HEAD, table, strlen(table)) == 0)
                return node + NODE_HEAD + strlen(table);
        }
    fail_msg("no table %s", table);
    return NULL;
}

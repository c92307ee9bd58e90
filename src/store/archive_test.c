/* Archives: tables of all sizes there and back, every bit of a file damaged, every allocation and
 * write made to fail. What an archive holds of a collection: tests/export_test.c. */
#include "base/mem.h"
#include "store/archive_writer.h"
#include "support/check.h"
#include "support/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_MAX = 511, VALUE_MAX = 3 * ARCHIVE_NODE_SIZE, PATH_SIZE = SCRATCH_PATH_SIZE + 32 };

static struct prng prng;
static char path[PATH_SIZE], inside[PATH_SIZE + 16];

/* Entries that a table is made of. */
struct plain {
    size_t count;
    struct plain_entry {
        size_t key_size, value_size;
        char *key, *value;
    } *entries;
};

static struct bytes key_of(const struct plain *plain, size_t i)
{
    return (struct bytes){ plain->entries[i].key, plain->entries[i].key_size };
}

static struct bytes value_of(const struct plain *plain, size_t i)
{
    return (struct bytes){ plain->entries[i].value, plain->entries[i].value_size };
}

static int compare_entries(const void *a, const void *b)
{
    const struct plain_entry *x = a, *y = b;
    size_t size = x->key_size < y->key_size ? x->key_size : y->key_size;
    int order = memcmp(x->key, y->key, size);
    return order != 0 ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

static char *random_bytes(size_t size, size_t letters)
{
    char *bytes = allocate(size, 1);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(test_below(&prng, letters) * 85);
    return bytes;
}

/* Few letters: keys that begin alike, and that are the beginning of others. */
static struct plain make_plain(size_t count, size_t key_max, size_t value_max)
{
    struct plain plain = { count, allocate(count, sizeof *plain.entries) };
    for (size_t i = 0; i < count; i++) {
        struct plain_entry *e = &plain.entries[i];
        e->key_size = 1 + test_below(&prng, key_max);
        e->value_size = test_below(&prng, 20) ? test_below(&prng, value_max + 1) : value_max;
        e->key = random_bytes(e->key_size, 4);
        e->value = random_bytes(e->value_size, 255);
    }
    qsort(plain.entries, count, sizeof *plain.entries, compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare_entries(&plain.entries[kept - 1], &plain.entries[i]) == 0) {
            free(plain.entries[i].key);
            free(plain.entries[i].value);
        } else {
            plain.entries[kept++] = plain.entries[i];
        }
    }
    plain.count = kept;
    return plain;
}

static void free_plain(struct plain *plain)
{
    for (size_t i = 0; i < plain->count; i++) {
        free(plain->entries[i].key);
        free(plain->entries[i].value);
    }
    free(plain->entries);
}

static wg_err write_table(struct archive_writer *writer, const char *name,
                          const struct plain *plain)
{
    wg_err err = WG_OK;
    struct table_writer table;
    table_writer_begin(writer, name, &table);
    for (size_t i = 0; i < plain->count; i++)
        TRY(table_writer_add(&table, key_of(plain, i), value_of(plain, i)));
    TRY(table_writer_end(&table));
out:
    table_writer_fini(&table);
    return err;
}

/* Tables "a/0", "a/1" and so on. */
static wg_err write_file(const struct plain *tables, size_t count)
{
    wg_err err = WG_OK;
    struct archive_writer writer;
    TRY(archive_writer_open(path, &writer));
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/%zu", i);
        TRY(write_table(&writer, name, &tables[i]));
    }
    TRY(archive_writer_finish(&writer));
out:
    archive_writer_fini(&writer);
    return err;
}

static bool same(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.start, b.start, a.size) == 0);
}

static void check_walk(const struct plain *plain, struct archive_cursor *cursor, size_t from)
{
    for (size_t i = from;; i++) {
        bool found;
        struct bytes key, value;
        must_ok(archive_next(cursor, &found, &key, &value));
        must(found == (i < plain->count), "entry %zu of %zu: found %d", i, plain->count, found);
        if (!found) break;
        must(same(key, key_of(plain, i)) && same(value, value_of(plain, i)), "entry %zu", i);
        must((uintptr_t)value.start % 8 == 0, "value %zu is not aligned", i);
    }
}

/* Where a key that may not be there stands, or would. */
static void check_key(const struct archive *archive, const struct archive_part *table,
                      const struct plain *plain, struct bytes key)
{
    size_t at = 0;
    while (at < plain->count && archive_compare(key_of(plain, at), key) < 0) at++;
    bool there = at < plain->count && archive_compare(key_of(plain, at), key) == 0, found;
    struct bytes value;
    must_ok(archive_get(archive, table, key, &found, &value));
    must(found == there && (!found || same(value, value_of(plain, at))), "entry %zu", at);
    struct archive_cursor cursor = archive_cursor_at_first(archive, table);
    must_ok(archive_seek(&cursor, key));
    must_ok(archive_next(&cursor, &found, &key, &value));
    must(found == (at < plain->count), "entry %zu of %zu", at, plain->count);
    must(!found || same(key, key_of(plain, at)), "entry %zu is not what was sought", at);
}

static void check_table(const struct archive *archive, const char *name, const struct plain *plain)
{
    const struct archive_part *table = archive_find(archive, inside, name);
    must(table && table->count == plain->count, "table %s", name);
    struct archive_cursor cursor = archive_cursor_at_first(archive, table);
    check_walk(plain, &cursor, 0);
    for (size_t i = 0; i < plain->count; i += 1 + plain->count / 200) {
        char key[KEY_MAX + 1];
        size_t size = plain->entries[i].key_size;
        memcpy(key, plain->entries[i].key, size);
        key[size] = 0;
        check_key(archive, table, plain, (struct bytes){ key, size });
        check_key(archive, table, plain, (struct bytes){ key, size + 1 });
        check_key(archive, table, plain, (struct bytes){ key, size - 1 });
        key[size - 1]++;
        check_key(archive, table, plain, (struct bytes){ key, size });
    }
    check_key(archive, table, plain, (struct bytes){ "", 0 });
    check_key(archive, table, plain, (struct bytes){ "\xff\xff", 2 });
}

static void tables_come_back(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct plain tables[] = {
        make_plain(0, 1, 0),
        make_plain(1, 1, 0),
        make_plain(1, KEY_MAX, VALUE_MAX),
        make_plain(300, 6, 100),
        make_plain(40, 20, VALUE_MAX), /* values over a node's size */
        make_plain(20000, 40, 60),     /* nodes over nodes */
        make_plain(3000, KEY_MAX, 10), /* seven keys to a node */
    };
    enum { TABLES = sizeof tables / sizeof *tables };
    assert_ok(write_file(tables, TABLES));
    struct archive *archive = NULL;
    assert_ok(archive_open(inside, &archive));
    assert_string_equal(archive_path(archive), path);
    for (size_t i = 0; i < TABLES; i++) {
        char name[32];
        snprintf(name, sizeof name, "%zu", i);
        check_table(archive, name, &tables[i]);
        free_plain(&tables[i]);
    }
    assert_true(archive_find(archive, inside, "5")->height >= 2);
    assert_null(archive_find(archive, inside, "7"));
    assert_null(archive_find(archive, path, "5"));
    archive_close(&archive);
    assert_null(archive);
    assert_int_equal(mem_in_use(), before);
}

static void only_a_path_into_a_file_is_an_archive(void **state)
{
    (void)state;
    struct archive *archive = (struct archive *)state;
    char below[PATH_SIZE + 32];
    assert_ok(write_file(NULL, 0));
    snprintf(below, sizeof below, "%s/b/c/d", path);
    assert_ok(archive_open(below, &archive));
    assert_non_null(archive);
    archive_close(&archive);
    assert_ok(unlink(path) == 0 ? WG_OK : WG_EIO);
    assert_ok(archive_open(below, &archive));
    assert_null(archive);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_ok(archive_open(below, &archive));
    assert_null(archive);
    assert_int_equal(rmdir(path), 0);
    assert_ok(archive_open("/none/of/it", &archive));
    assert_null(archive);
    assert_ok(archive_open("none", &archive));
    assert_null(archive);
}

static void keys_must_be_in_order(void **state)
{
    (void)state;
    struct archive_writer writer;
    struct table_writer table;
    assert_ok(archive_writer_open(path, &writer));
    table_writer_begin(&writer, "a/0", &table);
    assert_ok(table_writer_add(&table, db_text("b"), db_text("")));
    assert_err(WG_ECORRUPT, "order", table_writer_add(&table, db_text("b"), db_text("")));
    assert_err(WG_ECORRUPT, "order", table_writer_add(&table, db_text("a"), db_text("")));
    assert_ok(table_writer_add(&table, db_text("ba"), db_text("")));
    table_writer_fini(&table);
    archive_writer_fini(&writer);
    assert_false(file_exists(path));
}

/* --- damage --- */

static size_t file_bytes(void)
{
    struct stat status;
    must(stat(path, &status) == 0, "cannot look at %s", path);
    return (size_t)status.st_size;
}

static void flip(size_t bit)
{
    char byte;
    int file = open(path, O_RDWR);
    must(file >= 0 && pread(file, &byte, 1, (off_t)(bit / 8)) == 1, "cannot read %s", path);
    byte = (char)(byte ^ 1 << bit % 8);
    must(pwrite(file, &byte, 1, (off_t)(bit / 8)) == 1, "cannot write %s", path);
    close(file);
}

/* A file of somebody else's. */
static void write_mine(void)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(file >= 0 && write(file, "mine", 4) == 4, "cannot write %s", path);
    close(file);
}

/* How many of the entries can be read, of which none is wrong. */
static size_t count_readable(const struct archive *archive, const struct plain *plain)
{
    const struct archive_part *table = archive_find(archive, inside, "0");
    struct archive_cursor cursor = archive_cursor_at_first(archive, table);
    size_t readable = 0, at = 0, steps = 0;
    for (bool found = true; found; steps++) {
        struct bytes key, value;
        must(steps <= plain->count, "the walk does not end");
        wg_err err = archive_next(&cursor, &found, &key, &value);
        must(err == WG_OK || err == WG_ECORRUPT, "%d: %s", err, wg_message());
        if (err != WG_OK || !found) continue;
        while (at < plain->count && !same(key, key_of(plain, at))) at++;
        must(at < plain->count && same(value, value_of(plain, at)), "a wrong entry");
        readable++;
    }
    for (size_t i = 0; i < plain->count; i += 7) {
        struct bytes value;
        bool found;
        wg_err err = archive_get(archive, table, key_of(plain, i), &found, &value);
        must(err == WG_ECORRUPT || (err == WG_OK && found && same(value, value_of(plain, i))),
             "entry %zu: %d, found %d", i, err, found);
    }
    return readable;
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct plain plain = make_plain(700, 12, 30);
    assert_ok(write_file(&plain, 1));
    size_t size = file_bytes(), unopened = 0, partly = 0, least = plain.count;
    for (size_t bit = 0; bit < 8 * size; bit += 1 + test_below(&prng, 7)) {
        struct archive *archive = NULL;
        flip(bit);
        wg_err err = archive_open(inside, &archive);
        must(err == WG_OK || err == WG_ECORRUPT || err == (bit < 64 ? WG_EINVAL : WG_EVERSION),
             "bit %zu: %d", bit, err);
        if (archive) {
            size_t readable = count_readable(archive, &plain);
            must(readable < plain.count, "bit %zu is not noticed", bit);
            partly++;
            if (readable < least && readable > 0) least = readable;
        }
        unopened += err != WG_OK;
        archive_close(&archive);
        flip(bit);
    }
    printf("%zu bytes: with one bit flipped not opened %zu times, read in part %zu times, at least "
           "%zu of %zu entries\n",
           size, unopened, partly, least, plain.count);
    assert_true(unopened > 0);
    assert_true(partly > 0);
    assert_true(least > plain.count / 2); /* a damaged leaf costs its own entries alone */
    free_plain(&plain);
}

static void a_cut_file_is_not_opened(void **state)
{
    (void)state;
    struct plain plain = make_plain(300, 12, 30);
    struct archive *archive = NULL;
    assert_ok(write_file(&plain, 1));
    size_t size = file_bytes();
    assert_int_equal(truncate(path, (off_t)size + 1), 0);
    assert_err(WG_ECORRUPT, path, archive_open(inside, &archive));
    for (; size > 0; size -= 1 + test_below(&prng, size < 100 ? size : 50)) {
        assert_int_equal(truncate(path, (off_t)size - 1), 0);
        assert_err(size > FORMAT_MAGIC_SIZE ? WG_ECORRUPT : WG_EINVAL, path,
                   archive_open(inside, &archive));
    }
    free_plain(&plain);
}

/* --- failures --- */

static size_t count_files(void)
{
    size_t count = 0;
    char command[PATH_SIZE + 32], line[PATH_SIZE];
    snprintf(command, sizeof command, "ls -A $(dirname %s)", path);
    FILE *list = popen(command, "r");
    must(list, "cannot list");
    while (fgets(line, sizeof line, list)) count++;
    pclose(list);
    return count;
}

static void without_memory_there_is_nothing(void **state)
{
    (void)state;
    struct plain plain = make_plain(3000, 40, 60);
    size_t before = mem_in_use(), request = 1;
    for (wg_err err = WG_ENOMEM; err != WG_OK; request++) {
        mem_fail_at(request);
        err = write_file(&plain, 1);
        mem_fail_at(0);
        must(err == WG_OK || err == WG_ENOMEM, "%d: %s", err, wg_message());
        must(mem_in_use() == before, "request %zu: allocations are left", request);
        must(count_files() == (err == WG_OK), "request %zu: %zu files", request, count_files());
    }
    assert_true(request > 5);
    struct archive *archive = NULL;
    request = 1;
    for (wg_err err = WG_ENOMEM; err != WG_OK; request++) {
        mem_fail_at(request);
        err = archive_open(inside, &archive);
        mem_fail_at(0);
        must(err == WG_OK || err == WG_ENOMEM, "%d: %s", err, wg_message());
        must(err == WG_OK || mem_in_use() == before, "request %zu", request);
    }
    archive_close(&archive);
    free_plain(&plain);
}

static void what_is_there_stays(void **state)
{
    (void)state;
    write_mine();
    assert_err(WG_EEXISTS, path, write_file(NULL, 0));
    assert_int_equal(file_bytes(), 4);
    assert_int_equal(count_files(), 1);

    struct archive_writer writer; /* made while the archive is written */
    unlink(path);
    assert_ok(archive_writer_open(path, &writer));
    write_mine();
    assert_err(WG_EEXISTS, path, archive_writer_finish(&writer));
    archive_writer_fini(&writer);
    assert_int_equal(file_bytes(), 4);
    assert_int_equal(count_files(), 1);
}

static void a_missing_folder_is_said(void **state)
{
    (void)state;
    struct archive_writer writer;
    char below[PATH_SIZE + 32];
    snprintf(below, sizeof below, "%s/none/x", path);
    assert_err(WG_ENOTFOUND, below, archive_writer_open(below, &writer));
    archive_writer_fini(&writer);
}

static int make_path(void **state)
{
    (void)state;
    prng.state = test_seed();
    snprintf(path, sizeof path, "%s/x.waggle", scratch_create());
    snprintf(inside, sizeof inside, "%s/a", path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tables_come_back, make_path),
        cmocka_unit_test_setup(only_a_path_into_a_file_is_an_archive, make_path),
        cmocka_unit_test_setup(keys_must_be_in_order, make_path),
        cmocka_unit_test_setup(every_flipped_bit_is_noticed, make_path),
        cmocka_unit_test_setup(a_cut_file_is_not_opened, make_path),
        cmocka_unit_test_setup(without_memory_there_is_nothing, make_path),
        cmocka_unit_test_setup(what_is_there_stays, make_path),
        cmocka_unit_test_setup(a_missing_folder_is_said, make_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

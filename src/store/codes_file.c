#include "store/codes_file.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "os/stop.h"
#include "quant/encode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_SIZE = 4096, SUMS_AT_ONCE = 1024 };

/* At most one part in so many of what the disk has free: a cache leaves the room to commits. */
enum { DISK_SHARE = 4 };

static const char magic[FORMAT_MAGIC_SIZE] = "WAGGLCOD";
static const char suffix[] = ".codes", unfinished[] = ".tmp";

void codes_file_name(uint16_t space, uint32_t number, char name[32])
{
    snprintf(name, 32, "%u-%u%s", space, number, suffix);
}

bool codes_file_is_name(const char *name)
{
    unsigned space, number;
    char again[32];
    if (sscanf(name, "%u-%u", &space, &number) != 2 || space > UINT16_MAX) return false;
    codes_file_name((uint16_t)space, number, again);
    size_t size = strlen(again);
    if (strncmp(again, name, size) != 0) return false;
    return name[size] == 0 || strcmp(name + size, unfinished) == 0;
}

/* The segment's own path with another ending. */
static wg_err path_of(const struct segment *segment, const char *ending, char **out)
{
    char name[32];
    const char *path = segment->file.path, *slash = strrchr(path, '/');
    size_t folder_size = slash ? (size_t)(slash - path) + 1 : 0;
    codes_file_name(segment->header.space, segment->header.number, name);
    size_t size = folder_size + strlen(name) + strlen(ending) + 1;
    wg_err err = mem_resize(out, size);
    if (err == WG_OK) snprintf(*out, size, "%.*s%s%s", (int)folder_size, path, name, ending);
    return err;
}

/* --- where things stand --- */

static uint64_t part_count_of(uint64_t row_count)
{
    return (row_count + CODES_PART_ROWS - 1) / CODES_PART_ROWS;
}

static uint64_t contents_size(size_t dim, uint64_t row_count)
{
    return part_count_of(row_count) * sizeof(uint64_t) + dim * sizeof(float);
}

static uint64_t parts_offset(size_t dim, uint64_t row_count)
{
    uint64_t size = contents_size(dim, row_count);
    return HEADER_SIZE + (size + HEADER_SIZE - 1) / HEADER_SIZE * HEADER_SIZE;
}

/* Of so many rows in whole panels. */
static uint64_t rows_size(size_t dim, uint64_t row_count)
{
    return codes_size(dim, row_count) - dim * sizeof(float);
}

uint64_t codes_file_size(size_t dim, uint64_t row_count)
{
    return parts_offset(dim, row_count) + rows_size(dim, row_count);
}

/* A part of codes, in memory and in the file: its four pieces, one after the other. */
struct piece {
    void *bytes;
    size_t size;
};

struct part {
    uint64_t first, count; /* rows */
    uint64_t offset;
    struct piece pieces[4];
};

static struct part part_at(const struct codes *codes, uint64_t row_count, uint64_t i)
{
    uint64_t first = i * CODES_PART_ROWS, left = row_count - first;
    uint64_t count = left < CODES_PART_ROWS ? left : CODES_PART_ROWS;
    uint64_t panel = first / PANEL_ROWS, panel_count = count / PANEL_ROWS;
    size_t panel_size = code_panel_size(codes->dim);
    return (struct part){
        .first = first,
        .count = count,
        .offset = parts_offset(codes->dim, row_count) + rows_size(codes->dim, first),
        .pieces = { { codes->panels + panel * panel_size, (size_t)panel_count * panel_size },
                    { codes->offsets + first, (size_t)count * sizeof(float) },
                    { codes->errors + panel, (size_t)panel_count * sizeof(float) },
                    { codes->norms + panel, (size_t)panel_count * sizeof(float) } },
    };
}

/* Of the codes and of the rows that they stand for. */
static uint64_t part_sum(const struct segment *segment, const struct part *part)
{
    uint64_t sum = 0;
    uint32_t sums[SUMS_AT_ONCE];
    for (uint64_t i = 0; i < part->count; i += SUMS_AT_ONCE) {
        uint64_t left = part->count - i;
        size_t count = left < SUMS_AT_ONCE ? (size_t)left : SUMS_AT_ONCE;
        segment_sums(segment, part->first + i, count, sums);
        sum = checksum64(sums, count * sizeof *sums, sum);
    }
    for (size_t i = 0; i < 4; i++)
        sum = checksum64(part->pieces[i].bytes, part->pieces[i].size, sum);
    return sum;
}

/* The parts' sums, then the centre. */
struct contents {
    uint64_t *words; /* with room for whole ones */
    uint64_t part_count;
    size_t size;
};

static wg_err contents_init(size_t dim, uint64_t row_count, struct contents *out)
{
    *out = (struct contents){
        .part_count = part_count_of(row_count),
        .size = (size_t)contents_size(dim, row_count),
    };
    return mem_resize(&out->words, out->size / sizeof *out->words + 1);
}

static float *centre_of(const struct contents *contents)
{
    return (void *)(contents->words + contents->part_count);
}

/* What codes are for. Rows of bytes are the same for dot and for cosine, their codes are not. */
enum { CODES_DOT, CODES_L2, CODES_UNIT_U8 };

static struct codes_header header_of(const struct segment *segment, enum metric metric,
                                     enum row_type type)
{
    struct codes_header header = {
        .version = FORMAT_VERSION,
        .first_row = segment->header.first_row,
        .number = segment->header.number,
        .dim = segment->header.dim,
        .space = segment->header.space,
        .metric = metric == METRIC_L2   ? CODES_L2
                  : type == ROW_UNIT_U8 ? CODES_UNIT_U8
                                        : CODES_DOT,
        .kind = CODES_EIGHT_BITS,
        .panel_rows = PANEL_ROWS,
    };
    memcpy(header.magic, magic, sizeof magic);
    return header;
}

static uint32_t header_sum(const struct codes_header *header)
{
    return checksum32(header, offsetof(struct codes_header, sum), 0);
}

/* --- writing --- */

static wg_err check_room(const struct file *file, uint64_t size)
{
    uint64_t free;
    wg_err err = disk_free_bytes(file->path, &free);
    if (err == WG_OK && size > free / DISK_SHARE)
        err = wg_fail(WG_ENOSPC, "%s: takes %" PRIu64 " bytes, and %" PRIu64 " are free",
                      file->path, size, free);
    return err;
}

static wg_err write_part(const struct file *file, const struct part *part)
{
    wg_err err = WG_OK;
    uint64_t at = part->offset;
    for (size_t i = 0; i < 4 && err == WG_OK; i++) {
        err = file_write_at(file, part->pieces[i].bytes, part->pieces[i].size, at);
        at += part->pieces[i].size;
    }
    return err;
}

/* The header comes last: what is cut short on its way has none. */
static wg_err write_all(const struct file *file, const struct segment *segment,
                        const struct codes *codes, uint64_t row_count)
{
    wg_err err = WG_OK;
    struct contents contents;
    struct codes_header header = header_of(segment, codes->metric, codes->type);
    TRY(contents_init(codes->dim, row_count, &contents));
    TRY(check_room(file, codes_file_size(codes->dim, row_count)));
    for (uint64_t i = 0; i < contents.part_count; i++) {
        struct part part = part_at(codes, row_count, i);
        contents.words[i] = part_sum(segment, &part);
        TRY(write_part(file, &part));
    }
    memcpy(centre_of(&contents), codes->centre, codes->dim * sizeof *codes->centre);
    header.row_count = row_count;
    header.contents_sum = checksum64(contents.words, contents.size, 0);
    header.centre_norm = codes->centre_norm;
    header.scale = codes->scale;
    header.sum = header_sum(&header);
    TRY(file_write_at(file, contents.words, contents.size, HEADER_SIZE));
    TRY(file_write_at(file, &header, sizeof header, 0));
out:
    mem_free(&contents.words);
    return err;
}

wg_err codes_file_write(const struct segment *segment, const struct codes *codes, uint64_t *saved)
{
    wg_err err = WG_OK;
    struct file file = { 0 };
    char *path = NULL, *draft = NULL;
    uint64_t row_count = codes->row_count;
    TRY(path_of(segment, "", &path));
    TRY(path_of(segment, unfinished, &draft));
    TRY(file_open(draft, FILE_CREATE, &file));
    err = write_all(&file, segment, codes, row_count);
    if (err == WG_OK) err = file_rename(draft, path);
    if (err != WG_OK) file_discard(draft);
    TRY(err);
    if (saved) *saved = row_count;
out:
    file_close(&file);
    mem_free(&draft);
    mem_free(&path);
    return err;
}

/* --- reading --- */

static wg_err check_header(const struct file *file, const struct codes_header *found,
                           const struct codes_wanted *wanted)
{
    struct codes_header expected = header_of(wanted->segment, wanted->metric, wanted->type);
    expected.features = found->features;
    expected.row_count = found->row_count;
    expected.contents_sum = found->contents_sum;
    expected.centre_norm = found->centre_norm;
    expected.scale = found->scale;
    expected.sum = header_sum(&expected);
    if (memcmp(found->magic, magic, sizeof magic) != 0)
        return wg_fail(WG_ECORRUPT, "%s: no codes: its magic is wrong", file->path);
    if (found->version > FORMAT_VERSION)
        return wg_fail(WG_EVERSION, "%s: format %u; this program knows up to %d", file->path,
                       found->version, FORMAT_VERSION);
    if (memcmp(found, &expected, sizeof *found) != 0 || found->row_count == 0 ||
        found->row_count % PANEL_ROWS != 0 || found->row_count > wanted->segment->header.capacity)
        return wg_fail(WG_ECORRUPT, "%s: its header is not that of the segment's codes",
                       file->path);
    return features_check(&found->features, file->path, true);
}

static wg_err check_size(const struct file *file, const struct codes_header *header)
{
    uint64_t size, expected = codes_file_size(header->dim, header->row_count);
    wg_err err = file_size(file, &size);
    if (err == WG_OK && size != expected)
        err = wg_fail(WG_ECORRUPT, "%s: has %" PRIu64 " bytes, expected %" PRIu64, file->path, size,
                      expected);
    return err;
}

static wg_err read_contents(const struct file *file, const struct codes_header *header,
                            struct contents *out)
{
    wg_err err = WG_OK;
    TRY(contents_init(header->dim, header->row_count, out));
    TRY(file_read_at(file, out->words, out->size, HEADER_SIZE));
    if (checksum64(out->words, out->size, 0) != header->contents_sum)
        TRY(wg_fail(WG_ECORRUPT, "%s: wrong checksum over its contents", file->path));
out:
    return err;
}

static wg_err read_part(const struct file *file, const struct segment *segment,
                        const struct part *part, uint64_t sum)
{
    wg_err err = WG_OK;
    uint64_t at = part->offset;
    for (size_t i = 0; i < 4; i++) {
        TRY(file_read_at(file, part->pieces[i].bytes, part->pieces[i].size, at));
        at += part->pieces[i].size;
    }
    if (part_sum(segment, part) != sum)
        TRY(wg_fail(WG_ECORRUPT,
                    "%s: wrong checksum over the codes of rows %" PRIu64 " to %" PRIu64
                    " of the segment",
                    file->path, part->first, part->first + part->count));
out:
    return err;
}

/* A part of rows that are not all there yet, as this reader has it, is left. */
static wg_err read_parts(const struct file *file, const struct codes_wanted *wanted,
                         const struct contents *contents, uint64_t row_count, struct codes *codes)
{
    wg_err err = WG_OK;
    for (uint64_t i = 0; i < contents->part_count; i++) {
        struct part part = part_at(codes, row_count, i);
        if (part.first + part.count > wanted->row_count) break;
        if (wanted->stop) TRY(stop_check(wanted->stop));
        TRY(read_part(file, wanted->segment, &part, contents->words[i]));
        codes->row_count = part.first + part.count;
    }
out:
    return err;
}

static wg_err read_all(const struct file *file, const struct codes_wanted *wanted,
                       struct codes **out)
{
    wg_err err = WG_OK;
    struct codes_header header;
    struct contents contents = { 0 };
    struct codes *codes = NULL;
    TRY(file_read_at(file, &header, sizeof header, 0));
    TRY(check_header(file, &header, wanted));
    TRY(check_size(file, &header));
    TRY(read_contents(file, &header, &contents));
    struct codes_shape shape = {
        .metric = wanted->metric,
        .dim = header.dim,
        .capacity = wanted->segment->header.capacity,
        .centre = centre_of(&contents),
        .centre_norm = header.centre_norm,
        .scale = header.scale,
        .type = wanted->type,
    };
    err = codes_create_as(&shape, &codes);
    if (err == WG_EINVAL) err = wg_fail(WG_ECORRUPT, "%s: %s", file->path, wg_message());
    TRY(err);
    TRY(read_parts(file, wanted, &contents, header.row_count, codes));
    *out = codes;
    codes = NULL; /* moved */
out:
    codes_destroy(&codes);
    mem_free(&contents.words);
    return err;
}

static wg_err open_beside(const struct segment *segment, struct file *out)
{
    char *path = NULL;
    wg_err err = path_of(segment, "", &path);
    if (err == WG_OK) err = file_open(path, FILE_READ, out);
    mem_free(&path);
    return err;
}

wg_err codes_file_read(const struct codes_wanted *wanted, struct codes **out)
{
    struct file file = { 0 };
    wg_err err = open_beside(wanted->segment, &file);
    if (err == WG_OK) err = read_all(&file, wanted, out);
    file_close(&file);
    return err;
}

uint64_t codes_file_bytes(const struct segment *segment)
{
    uint64_t size = 0;
    char *path = NULL;
    struct file file = { 0 };
    if (path_of(segment, "", &path) == WG_OK && file_exists(path) &&
        file_open(path, FILE_READ, &file) == WG_OK && file_size(&file, &size) != WG_OK)
        size = 0;
    file_close(&file);
    mem_free(&path);
    return size;
}

void codes_file_discard(const struct segment *segment)
{
    char *path = NULL;
    if (path_of(segment, "", &path) == WG_OK) file_discard(path);
    mem_free(&path);
}

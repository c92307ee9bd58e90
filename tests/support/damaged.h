#pragma once
/* A store that is damaged in a copy, and what repair saves of it. All but the must_ checks' end of
 * the process is cmocka's: used by the test's own thread.
 *
 * It has a collection "docs" (folder c-1): points 0 to 24 stand in a packed segment, 25 to 39 in a
 * second one, point i in row i + 1; the last two are deleted. "more" (c-2) has points 0 to
 * 9, "none" (c-3) none. The alias "live" is of docs, "broad" of more. */
#include "store/collection.h"
#include "waggle/waggle.h"

enum {
    DAMAGED_DIM = 4,
    DAMAGED_POINTS = 40,
    DAMAGED_PACKED = 25,
    DAMAGED_LEFT = 38,
    DAMAGED_MORE = 10,
    DAMAGED_HISTORY = 77 /* of "more" and "none" */
};

/* For cmocka: of the group, and before each test, which finds a copy without damage. */
int damaged_begin(void **state);
int damaged_end(void **state);
int damaged_copy(void **state);

wg_context *damaged_context(void);
const char *damaged_path(void); /* of the copy */
const char *damaged_at(const char *name); /* in it; eight at a time */
const char *damaged_saved(void); /* where damaged_save saves to */

wg_id damaged_id(size_t i);
float damaged_component(size_t i, size_t d); /* of point i */
void damaged_open(const char *path, bool read_only, wg_store **out);
wg_collection *damaged_create(wg_store *store, const char *name, uint64_t history);

/* Which points (bit i: point i) the collection of that name or alias has, each of them as it was;
 * 0: there is none. */
uint64_t damaged_points_in(wg_store *store, const char *name);
uint64_t damaged_saved_points(const char *name);

/* What repair says. */
struct damaged_said {
    size_t count;
    char text[32768]; /* a line for each */
};

struct damaged_result {
    struct damaged_said said;
    wg_repair_report report;
};

WG_CHECKED wg_err damaged_repair(const char *to, struct damaged_result *out);
/* Looks, then saves: both say the same, the copy stays as it is, what is saved is sound. */
struct damaged_result damaged_save(void);

/* The registry's tables. */
enum { REGISTRY_META, REGISTRY_COLLECTIONS, REGISTRY_ALIASES };

/* A value as the file has it: its checksum, the last four bytes, stands behind it. */
struct damaged_value {
    char bytes[4096];
    size_t size;
};

/* Of the tables in this folder of the copy: "registry", "c-1". */
void damaged_read(const char *tables, unsigned table, struct bytes key, struct damaged_value *out);
/* With the right checksum; value NULL: it goes. */
void damaged_put(const char *tables, unsigned table, struct bytes key, struct bytes value);
/* A bit of its checksum is another one. */
void damaged_spoil_value(const char *tables, unsigned table, struct bytes key);

/* The file of docs' segment that begins with this row: 0 or 26. */
const char *damaged_segment(uint64_t first_row);
/* A bit of the byte there is another one. */
void damaged_spoil_file(const char *path, uint64_t offset);

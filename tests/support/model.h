#pragma once
/* A collection in memory, plain enough to be right, and random writes that are applied to it and to
 * a real one. The same seed gives the same writes, so one process can know what another wrote. */
#include "base/prng.h"
#include "waggle/waggle.h"

enum { MODEL_IDS = 240, MODEL_DIM = 18, MODEL_KEYS = 5, MODEL_WHY_SIZE = 512 };

struct model_point {
    bool alive;
    uint64_t row; /* in the order of writing, all rows ever written */
    float vector[MODEL_DIM]; /* as stored */
    uint8_t values[MODEL_KEYS]; /* of the payload's keys, numbers of known texts; 0: no such key */
};

/* A plain value: assignment copies it. */
struct model {
    wg_metric metric;
    uint64_t row_count;
    struct model_point points[MODEL_IDS]; /* in id order */
};

/* The ids that are written: a third each numbers, UUIDs and strings, in the order of ids. */
const wg_id *model_id(size_t i);

enum model_op_kind { OP_UPSERT, OP_DELETE, OP_MERGE_PAYLOAD, OP_CLEAR_PAYLOAD, OP_CLEAR };

/* One write. The vectors are made again from the seed when they are needed. */
struct model_op {
    enum model_op_kind kind;
    size_t count;
    uint16_t ids[MODEL_IDS]; /* count, each once */
    uint8_t values[MODEL_IDS][MODEL_KEYS]; /* upsert: of each; merge: the first; all 0: NULL */
    uint64_t seed;
};

void model_op_make(struct prng *prng, size_t count_max, struct model_op *op);
void model_apply(struct model *model, const struct model_op *op);
/* *touched: what delete and set_payload report; else 0. */
WG_CHECKED wg_err model_op_run(const struct model_op *op, wg_collection *collection,
                               size_t *touched);
/* How many points of op exist. */
size_t model_touches(const struct model *model, const struct model_op *op);

size_t model_count(const struct model *model);
/* The payload of a point in the form of payload_canonical. */
void model_payload(const struct model_point *point, char *text, size_t room);
bool model_has_point(const struct model *model, size_t i, const wg_point *point, char *why);
/* Whether collection holds exactly this, by counting, scrolling and searching; else why not. */
bool model_equals(const struct model *model, wg_collection *collection, char *why);
/* Of one random search with k hits. */
bool model_answers(const struct model *model, wg_searcher *searcher, struct prng *prng, size_t k,
                   char *why);

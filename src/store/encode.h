#pragma once
/* Codes of a collection's segments (quant/encode.h): made in the background, for scans to read
 * instead of the rows; kept beside the segments (store/codes_file.h), and taken from there by the
 * first search. One thread at a time has to do with them: who has claimed `encoding`. */
#include "store/collection.h"

/* Segments with fewer rows have no codes; they are as fast without. 1,024; tests that cannot write
 * so many have less. */
extern atomic_uint encode_rows_min;

/* Rows were appended: begins to code, in the background, what this process wrote of the view that
 * is not coded. Segments to which nothing is appended are left alone until they are searched. Any
 * thread. */
void collection_encode(struct collection *collection, const struct view *view);

/* A search is about to read the view: takes what codes there are from their files, once, with the
 * threads of the pool; the third search also begins to code, in the background, what has none.
 * Whoever searches once waits for no codes to be made, nor makes any. stop: ends it early. */
void collection_ready_codes(struct collection *collection, const struct view *view,
                            const struct stop *stop);

/* Keeps the codes that were made beside their segments; the collection is about to be closed, and
 * no job is left. */
void collection_save_codes(struct collection *collection);

/* Whether rows have codes, from now on, in all processes. Off: the files with codes go at once, the
 * memory when the collection is closed. WG_EREADONLY, WG_ENOSPC, WG_EIO. */
WG_CHECKED wg_err collection_set_codes(struct collection *collection, bool on);

#pragma once
/* Codes of a collection's segments (quant/encode.h): made in the background, for scans to read
 * instead of the rows. */
#include "store/collection.h"

/* Begins to code, in the background, what the view has rows of that are not coded. Any thread. */
void collection_encode(struct collection *collection, const struct view *view);

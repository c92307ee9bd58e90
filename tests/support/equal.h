#pragma once
/* Two collections that must not differ in anything that the library tells about them. */
#include "waggle/waggle.h"

/* History, points in id order with versions, vectors bit for bit and payloads, and the answers of
 * exact searches for all points, equal scores in the same order. Fails as a must_ check does. */
void equal_check(wg_collection *a, wg_collection *b);

#pragma once
/* How codes of queries stand for most tiers: twelve is a multiple of every size of groups. */
enum { CODE_LAYOUT_GROUP = 12, CODE_LAYOUT_STEP = 4 };

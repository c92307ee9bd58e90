#pragma once
/* Waggle: vector search on whatever processor there is.
 *
 *   error.h       errors as codes, with a message per thread
 *   context.h     threads, devices, cancellation: made once per program
 *   device.h      what was found to compute on
 *   knn.h         neighbours in a caller's array, with no store
 *   kmeans.h      clusters of a caller's array
 *   store.h       a folder of collections
 *   collection.h  points: upsert, get, delete, scroll
 *   search.h      the nearest points of a collection
 *   changes.h     what was written, in order, to be done again elsewhere
 *   maintain.h    verify, snapshot, restore, export, repair
 *
 * Handles are opaque, made by create or open through the last parameter, ended by destroy or close,
 * which take the handle's address, null it, and accept NULL. Parameter structs begin with their
 * size and are filled by their init. What a struct or call borrows, it borrows for that call only.
 * Each handle says which threads may use it. Nothing is usable in a child process after fork. */
#include "waggle/changes.h"
#include "waggle/collection.h"
#include "waggle/context.h"
#include "waggle/device.h"
#include "waggle/error.h"
#include "waggle/kmeans.h"
#include "waggle/knn.h"
#include "waggle/maintain.h"
#include "waggle/search.h"
#include "waggle/store.h"

#pragma once
/* One thread for work that nobody waits for: self-tests, uploads, compaction; another one for what
 * is due at a time. It starts with the first job. */
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct background;

WG_CHECKED wg_err background_create(struct background **out);
/* Finishes the job it is in; jobs not begun are run with cancelled = true. */
void background_destroy(struct background **background);

/* run is called once, from the background thread. */
typedef void background_job(void *arg, bool cancelled);
WG_CHECKED wg_err background_submit(struct background *background, background_job *run, void *arg);
/* The same, not before delay_ms have passed. */
WG_CHECKED wg_err background_submit_after(struct background *background, uint32_t delay_ms,
                                          background_job *run, void *arg);
/* Jobs with this arg wait for nothing any more. */
void background_hurry(struct background *background, const void *arg);
/* Jobs with this arg that have not begun are run here, cancelled. */
void background_cancel(struct background *background, const void *arg);
/* Returns when no job is left. */
void background_drain(struct background *background);

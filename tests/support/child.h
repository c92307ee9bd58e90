#pragma once
/* Another process of the test's own, and a line to it: what one side says, a byte at a time, the
 * other hears. Whatever goes wrong ends the test; nobody waits longer than a minute. */
#include <stdbool.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    int in, out; /* of this side */
};

/* run is called in the child, which ends with it; a must_ check that fails there fails child_end.
 * */
void child_begin(struct child *child, void (*run)(struct child *parent, void *arg), void *arg);
void child_say(const struct child *child, char what);
char child_hear(const struct child *child);
bool child_has_said(const struct child *child); /* something that was not heard yet */
/* Waits until it has ended by itself. */
void child_end(struct child *child);
void child_kill(struct child *child); /* SIGKILL */

/* All at once: the child does it and ends. */
void child_run(void (*run)(struct child *parent, void *arg), void *arg);

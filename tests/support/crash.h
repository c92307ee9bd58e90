#pragma once
/* The crash simulation: a workload is recorded, call by call; then crashes are tried at every
 * moment of the recording, with what was not synced kept, dropped or mixed, and each time the
 * store must be what crash_state.h says. Whatever fails is printed, each reason once, with the
 * moment, the loss and its seed.
 *
 * WAGGLE_CRASH_POINTS: how many crashes. WAGGLE_CRASH_KEEP: a folder, made before, where the
 * recording and the first stores that were wrong are kept. WAGGLE_CRASH_RECORDING: a recording to
 * be used again, of the same WAGGLE_SEED; it gives the same crashes again. */
#include <stddef.h>

/* What a program of the simulation is; returns its status. Its arguments: none; or "--planted":
 * only whether bugs are found; or "--list" and a recording: what is in it. */
int crash_main(int argc, char **argv, size_t points);

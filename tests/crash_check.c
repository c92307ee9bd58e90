/* Crashes are simulated: a process that writes a store is recorded, and at every moment of the
 * recording, whatever a disk may have kept of what was not synced, the store opens, verify finds
 * nothing, and it holds what was acknowledged, or that and the whole group in flight. And the
 * simulation can tell: with any kind of sync left out it finds states that are wrong. */
#include "support/crash.h"

int main(int argc, char **argv)
{
    return crash_main(argc, argv, 5000);
}

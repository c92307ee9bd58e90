#pragma once
/* Checksums of what is on disk: XXH3 (Debian's libxxhash), faster than a disk by far on every
 * processor. checksum32 is its low half. Not a protection against an attacker. */
#include <stddef.h>
#include <stdint.h>

uint32_t checksum32(const void *bytes, size_t size, uint64_t seed);
uint64_t checksum64(const void *bytes, size_t size, uint64_t seed);

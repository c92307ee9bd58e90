#pragma once
/* What there is to compute on, and the time. Any thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t clock_ns(void); /* rises steadily; its start means nothing */
void wait_ms(uint32_t ms);

uint32_t process_id(void);

/* Processors that this process may run on; at least 1. */
uint32_t processor_count(void);
/* Those that the calling thread may run on. A thread that the library starts in the course of a
 * call runs where the library was set up, not where that call happened to come from. */
struct processors {
    bool known;
    unsigned char set[128];
};
void processors_get(struct processors *out);
void processors_use(const struct processors *processors);
/* As the processor calls itself; empty when unknown. */
void processor_name(char *name, size_t room);

/* That the processor has it and the operating system saves its registers. */
bool processor_has_avx2(void); /* and fma */
bool processor_has_avxvnni(void); /* those, and vnni for 256 bits */
bool processor_has_avx512(void); /* f, dq, bw and vl */
bool processor_has_vnni(void); /* those, and vnni */
bool processor_has_amx(void); /* those, and the matrix engine with its products of bytes */
bool processor_has_neon(void); /* of 64-bit ARM */
bool processor_has_neondot(void); /* and dot products of bytes */
bool processor_has_neoni8mm(void); /* those, also of unsigned with signed ones */

/* Asks the operating system for the matrix engine's registers (8 KiB in each thread that uses
 * them, and in each frame of a signal handler). It is asked once for the whole process, which then
 * has them until it ends. false: refused, as where signal stacks are too small for them. */
bool amx_allowed(void);

/* 0: unknown. Free is what can be had without swapping. */
uint64_t memory_bytes(void);
uint64_t memory_free_bytes(void);
/* That these bytes be backed by large pages, where the system allows it; whole ones within them. */
void prefer_large_pages(void *start, size_t size);

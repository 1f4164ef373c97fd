// For `dl_iterate_phdr`.
#define _GNU_SOURCE

#include "CMemory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#ifdef __linux__
#include <link.h>
#include <sys/mman.h>
#endif

// glibc gives nearly every thread an arena of its own, eight for each core, and each keeps the pages
// of its busiest moment: after 100,000 requests 25 MB were in use and 27 MB more were free in sixteen
// arenas, and that grew. Threads have small caches of their own in front of an arena, so that one for
// every two cores takes no more time.
void cmemory_settle(void) {
#ifdef __GLIBC__
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    // What the environment says holds.
    if (getenv("MALLOC_ARENA_MAX") == NULL) mallopt(M_ARENA_MAX, cores > 3 ? (int)(cores / 2) : 1);
#endif
}

#ifdef __linux__
typedef struct {
    uintptr_t start, end;
} extent;

// The program itself comes first; libraries, which other processes share, stay as they are.
static int extent_of_program(struct dl_phdr_info *program, size_t size, void *found) {
    (void)size;
    extent *own = found;
    for (int i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &program->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD) continue;
        uintptr_t start = program->dlpi_addr + segment->p_vaddr;
        if (own->end == 0 || start < own->start) own->start = start;
        if (start + segment->p_memsz > own->end) own->end = start + segment->p_memsz;
    }
    return 1;
}

// Only what is the file's to the last page comes back as it was: not what was written to, patched by
// a debugger, or moved to memory of its own.
static void release_unchanged(extent program, FILE *maps) {
    char line[512];
    uintptr_t start = 0, end = 0;
    int is_ours = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to, inode, kilobytes;
        char flags[5];
        if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu", &from, &to, flags, &inode) == 4) {
            start = from;
            end = to;
            is_ours = inode != 0 && flags[1] != 'w' && program.start <= from && from < program.end;
        } else if (is_ours && sscanf(line, "Anonymous: %lu kB", &kilobytes) == 1) {
            if (kilobytes == 0) madvise((void *)start, end - start, MADV_DONTNEED);
        }
    }
}
#endif

// A start runs through code of all layers once, and each page of it brings fifteen beside it: 25 of
// 33 MB are then held, of which serving needs some. They stay in the system's file cache, so that
// what is needed again takes no reading.
void cmemory_release_start(void) {
#ifdef __linux__
    extent program = {0, 0};
    dl_iterate_phdr(extent_of_program, &program);
    FILE *maps = fopen("/proc/self/smaps", "re");
    if (maps == NULL) return;
    release_unchanged(program, maps);
    fclose(maps);
#endif
}

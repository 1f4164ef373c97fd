// For `dl_iterate_phdr`.
#define _GNU_SOURCE

#include "CMemory.h"

#include <stdint.h>
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
// Pages that relocations were written to are no longer those of the file. No linker makes such code
// unless it is told to.
static int is_relocated(const struct dl_phdr_info *program) {
    for (int i = 0; i < program->dlpi_phnum; i++) {
        if (program->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
        const ElfW(Dyn) *entry =
            (const ElfW(Dyn) *)(program->dlpi_addr + program->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_TEXTREL) return 1;
            if (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL)) return 1;
        }
    }
    return 0;
}

// The program itself comes first; libraries, which other processes share, stay as they are.
static int release_program(struct dl_phdr_info *program, size_t size, void *unused) {
    (void)size;
    (void)unused;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (is_relocated(program)) return 1;
    for (int i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &program->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
        uintptr_t start = program->dlpi_addr + segment->p_vaddr;
        uintptr_t end = (start + segment->p_filesz) & ~(page - 1);
        start = (start + page - 1) & ~(page - 1);
        if (start < end) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 1;
}
#endif

// A start runs through code of all layers once, and each page of it brings fifteen beside it: 25 of
// 33 MB are then held, of which serving needs some. They stay in the system's file cache, so that
// what is needed again takes no reading.
void cmemory_release_start(void) {
#ifdef __linux__
    dl_iterate_phdr(release_program, NULL);
#endif
}

// The threads that a model computes on.
#pragma once

#include <stdbool.h>

// A lead thread that takes jobs in order, and helpers that share the lead's loops. They run at a
// lower priority than the threads that serve, and sleep when there is nothing to do.
typedef struct kernel_pool kernel_pool;

// Null when memory or threads run out. `threads` includes the lead.
kernel_pool *kernel_pool_create(int threads, int niceness);
// Lets the threads end once the jobs that were submitted have run. Does not wait for them.
void kernel_pool_release(kernel_pool *pool);
// Runs `job(context)` on the lead thread, after those before it. False when memory ran out.
bool kernel_pool_submit(kernel_pool *pool, void (*job)(void *context), void *context);
// Only from a job: calls `body` for consecutive ranges of 0..<count, at most `grain` long, on all
// threads, and returns when all are done. `worker` is below the number of threads.
void kernel_pool_share(kernel_pool *pool, long count, long grain,
                       void (*body)(void *context, long first, long last, int worker),
                       void *context);

// The threads of one engine. A generation makes about 150 short parallel loops for every token, so
// helpers wait for the next loop by spinning for a moment, and sleep when none comes.
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "include/CKernels.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/resource.h>
#endif

// About 20 microseconds: longer than the gap between two loops of one token, much shorter than what
// a thread that serves would notice.
enum { SPINS_MAX = 2000 };

typedef struct job {
    struct job *next;
    void (*run)(void *);
    void *context;
} job;

typedef void (*loop_body)(void *, long, long, int);

// A loop is cut into chunks. The ticket says which loop this is, how many chunks it has, and which
// is next, in one word: a thread that claims a chunk by exchanging the whole word cannot have
// claimed it from a loop that is over. So nobody waits for a helper that has no core to run on,
// only for chunks that were claimed.
typedef uint64_t ticket;
enum { CHUNKS_MAX = 0xffff };

static inline uint32_t round_of(ticket t) { return (uint32_t)(t >> 32); }
static inline uint32_t chunks_of(ticket t) { return t >> 16 & 0xffff; }
static inline uint32_t next_of(ticket t) { return t & 0xffff; }

struct kernel_pool {
    // The loop that is being shared: stable while any of its chunks is unfinished.
    loop_body body;
    void *context;
    long count, grain;
    _Alignas(64) _Atomic ticket current;
    _Alignas(64) atomic_uint finished;
    atomic_int sleeping;
    _Alignas(64) atomic_int threads_left;
    int threads, niceness;

    pthread_mutex_t mutex;
    pthread_cond_t round_began, job_came;
    job *jobs, **jobs_end;
    bool released, lead_ended;
};

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void lower_priority(int niceness) {
#if defined(__linux__)
    // On Linux 0 means the calling thread, not the process. Failing to be nice is no reason to stop.
    (void)setpriority(PRIO_PROCESS, 0, niceness);
#else
    (void)niceness;
#endif
}

static void leave(kernel_pool *pool) {
    if (atomic_fetch_sub(&pool->threads_left, 1) > 1) return;
    pthread_cond_destroy(&pool->round_began);
    pthread_cond_destroy(&pool->job_came);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

// Takes chunks until none is left, and returns the round that is then over.
static uint32_t work(kernel_pool *pool, int worker) {
    ticket t = atomic_load_explicit(&pool->current, memory_order_acquire);
    for (;;) {
        if (next_of(t) >= chunks_of(t)) return round_of(t);
        if (!atomic_compare_exchange_weak_explicit(&pool->current, &t, t + 1,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        long first = (long)next_of(t) * pool->grain;
        long last = pool->count - first > pool->grain ? first + pool->grain : pool->count;
        pool->body(pool->context, first, last, worker);
        atomic_fetch_add_explicit(&pool->finished, 1, memory_order_release);
        t = atomic_load_explicit(&pool->current, memory_order_acquire);
    }
}

typedef struct {
    kernel_pool *pool;
    int worker;
} helper_start;

// Waits for the round after `seen`. False when there will be none.
static bool wait_for_round(kernel_pool *pool, uint32_t seen) {
    for (int i = 0; i < SPINS_MAX; i++) {
        ticket t = atomic_load_explicit(&pool->current, memory_order_acquire);
        if (round_of(t) != seen) return true;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    // The lead raises the round and then looks for sleepers; we do it the other way round.
    atomic_fetch_add(&pool->sleeping, 1);
    while (round_of(atomic_load(&pool->current)) == seen && !pool->lead_ended)
        pthread_cond_wait(&pool->round_began, &pool->mutex);
    atomic_fetch_sub(&pool->sleeping, 1);
    bool began = !pool->lead_ended;
    pthread_mutex_unlock(&pool->mutex);
    return began;
}

static void *helper_main(void *argument) {
    helper_start start = *(helper_start *)argument;
    free(argument);
    lower_priority(start.pool->niceness);
    while (wait_for_round(start.pool, work(start.pool, start.worker))) continue;
    leave(start.pool);
    return 0;
}

static void *lead_main(void *argument) {
    kernel_pool *pool = argument;
    lower_priority(pool->niceness);
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->jobs && !pool->released) pthread_cond_wait(&pool->job_came, &pool->mutex);
        job *current = pool->jobs;
        if (!current) break;
        pool->jobs = current->next;
        if (!pool->jobs) pool->jobs_end = &pool->jobs;
        pthread_mutex_unlock(&pool->mutex);
        current->run(current->context);
        free(current);
        pthread_mutex_lock(&pool->mutex);
    }
    pool->lead_ended = true;
    pthread_cond_broadcast(&pool->round_began);
    pthread_mutex_unlock(&pool->mutex);
    leave(pool);
    return 0;
}

static bool start_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, 0, body, argument) != 0) return false;
    pthread_detach(thread);
    return true;
}

kernel_pool *kernel_pool_create(int threads, int niceness) {
    kernel_pool *pool = aligned_alloc(64, (sizeof(kernel_pool) + 63) / 64 * 64);
    if (!pool) return 0;
    *pool = (kernel_pool){.niceness = niceness};
    pool->jobs_end = &pool->jobs;
    pthread_mutex_init(&pool->mutex, 0);
    pthread_cond_init(&pool->round_began, 0);
    pthread_cond_init(&pool->job_came, 0);
    atomic_store(&pool->threads_left, 1);
    if (!start_thread(lead_main, pool)) {
        leave(pool);
        return 0;
    }
    pool->threads = 1;
    // With fewer helpers than wished for the loops are only slower.
    for (int i = 1; i < threads; i++) {
        helper_start *start = malloc(sizeof *start);
        if (!start) break;
        *start = (helper_start){pool, i};
        atomic_fetch_add(&pool->threads_left, 1);
        if (!start_thread(helper_main, start)) {
            atomic_fetch_sub(&pool->threads_left, 1);
            free(start);
            break;
        }
        pool->threads = i + 1;
    }
    return pool;
}

void kernel_pool_release(kernel_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    pool->released = true;
    pthread_cond_broadcast(&pool->job_came);
    pthread_mutex_unlock(&pool->mutex);
}

bool kernel_pool_submit(kernel_pool *pool, void (*run)(void *), void *context) {
    job *added = malloc(sizeof *added);
    if (!added) return false;
    *added = (job){0, run, context};
    pthread_mutex_lock(&pool->mutex);
    *pool->jobs_end = added;
    pool->jobs_end = &added->next;
    pthread_cond_signal(&pool->job_came);
    pthread_mutex_unlock(&pool->mutex);
    return true;
}

void kernel_pool_share(kernel_pool *pool, long count, long grain, loop_body body, void *context) {
    if (grain < 1) grain = 1;
    if (pool->threads == 1 || count <= grain) {
        for (long first = 0; first < count; first += grain)
            body(context, first, count - first > grain ? first + grain : count, 0);
        return;
    }
    if (count / grain >= CHUNKS_MAX) grain = count / CHUNKS_MAX + 1;
    uint32_t chunks = (uint32_t)((count + grain - 1) / grain);
    pool->body = body;
    pool->context = context;
    pool->count = count;
    pool->grain = grain;
    atomic_store_explicit(&pool->finished, 0, memory_order_relaxed);
    ticket before = atomic_load_explicit(&pool->current, memory_order_relaxed);
    atomic_store(&pool->current, (ticket)(round_of(before) + 1) << 32 | (ticket)chunks << 16);
    if (atomic_load(&pool->sleeping) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->round_began);
        pthread_mutex_unlock(&pool->mutex);
    }
    work(pool, 0);
    // A helper that lost its core in the middle of a chunk must get one back: after a while, yield.
    for (int i = 0; atomic_load_explicit(&pool->finished, memory_order_acquire) < chunks; i++) {
        if (i < SPINS_MAX) pause_briefly();
        else sched_yield();
    }
}

/* Threads that share the indices of a loop: started once, asleep between loops, made anew after a fork. */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef int64_t i64;
typedef void (*Step)(const void *job, i64 index, void *scratch);
typedef struct {
    Step step;
    const void *job;
    i64 total;
    size_t scratch; /* bytes for each thread */
    atomic_llong next;
} Loop;

enum { MOST = 256, PATIENCE = 2000 }; /* turns, some 50 microseconds, before a thread that waits goes to sleep */
#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() (void)0
#endif
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER; /* one loop at a time has the threads */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t start = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
static Loop *current;
static int threads_up, wanted;
static atomic_int running; /* helpers that joined the loop; `wanted`: how many may */
static atomic_ulong generation;

static void take_part(Loop *loop) {
    void *scratch = NULL;
    if (loop->scratch && posix_memalign(&scratch, 64, loop->scratch)) return; /* the others do it all */
    for (i64 i; (i = atomic_fetch_add(&loop->next, 1)) < loop->total;) loop->step(loop->job, i, scratch);
    free(scratch);
}

static void *helper(void *argument) {
    const int me = (int)(intptr_t)argument;
    unsigned long seen = 0;
    for (;;) {
        for (int i = 0; i < PATIENCE && atomic_load(&generation) == seen; i++) RELAX();
        pthread_mutex_lock(&lock);
        while (generation == seen || me >= wanted) {
            seen = generation;
            pthread_cond_wait(&start, &lock);
        }
        seen = generation;
        Loop *loop = current;
        running++;
        pthread_mutex_unlock(&lock);
        take_part(loop);
        pthread_mutex_lock(&lock);
        if (--running == 0) pthread_cond_signal(&done);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void after_fork(void) {
    pthread_mutex_init(&busy, NULL);
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&start, NULL);
    pthread_cond_init(&done, NULL);
    threads_up = wanted = 0;
    running = 0;
}

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork); }

/* Run step(job, 0 .. total - 1) on up to `threads` threads, this one among them. Returns 0, or 1 if memory ran out. */
static int share(Step step, const void *job, i64 total, size_t scratch, int threads) {
    Loop loop = {.step = step, .job = job, .total = total, .scratch = scratch};
    if (threads > MOST) threads = MOST;
    if (threads > total) threads = (int)total;
    if (threads < 2 || pthread_mutex_trylock(&busy)) {
        take_part(&loop);
        return atomic_load(&loop.next) < total;
    }
    pthread_mutex_lock(&lock);
    while (threads_up < threads - 1) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, helper, (void *)(intptr_t)threads_up)) break;
        pthread_detach(thread);
        threads_up++;
    }
    wanted = threads_up < threads - 1 ? threads_up : threads - 1;
    current = &loop;
    generation++;
    pthread_cond_broadcast(&start);
    pthread_mutex_unlock(&lock);
    take_part(&loop);
    for (int i = 0; i < PATIENCE && atomic_load(&running); i++) RELAX();
    pthread_mutex_lock(&lock);
    wanted = 0; /* a helper that wakes up only now is too late */
    while (running) pthread_cond_wait(&done, &lock);
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&busy);
    return atomic_load(&loop.next) < total;
}

// Tells the thread sanitizer of what Synchronization.Mutex does in the toolchain's library, which is not instrumented: a lock that
// another thread holds is taken there, and one that others wait for is given back there, by the kernel (FUTEX_LOCK_PI). Without this
// everything that a Mutex protects would be reported as a race. What needs no waiting is inlined into our code, which is instrumented.
// Preloaded by .ci/sanitize thread.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *

extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

typedef SWIFT void (*Lock)(uint32_t state, SELF);
typedef SWIFT bool (*TryLock)(SELF);
typedef SWIFT void (*Unlock)(SELF);

static void *original(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort(); // another toolchain: its library has to be looked at again
    return found;
}

static void acquired(void *mutex) {
    if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT void lockSlow(uint32_t state, SELF mutex) __asm__(LOCK);
SWIFT void lockSlow(uint32_t state, SELF mutex) {
    ((Lock)original(LOCK))(state, mutex);
    acquired(mutex);
}

SWIFT bool tryLockSlow(SELF mutex) __asm__(TRY_LOCK);
SWIFT bool tryLockSlow(SELF mutex) {
    bool isTaken = ((TryLock)original(TRY_LOCK))(mutex);
    if (isTaken) acquired(mutex);
    return isTaken;
}

SWIFT void unlockSlow(SELF mutex) __asm__(UNLOCK);
SWIFT void unlockSlow(SELF mutex) {
    if (__tsan_release) __tsan_release(mutex);
    ((Unlock)original(UNLOCK))(mutex);
}

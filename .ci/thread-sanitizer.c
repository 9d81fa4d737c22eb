// Tells the thread sanitizer of what the toolchain's libraries do, which are not instrumented. Preloaded by .ci/sanitize thread.
//
// Synchronization.Mutex: a lock that another thread holds is taken, and one that others wait for is given back, by the kernel
// (FUTEX_LOCK_PI). Without this everything that a Mutex protects would be reported as a race. What needs no waiting is inlined into our
// code, which is instrumented.
//
// Reference counts: whoever finds that it is the only owner may change the object, or end it, after all that former owners did with it.
// Without this a buffer would be reported that one thread has read and let go of, and another then fills again.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define IS_KNOWN_UNIQUE "$ss25isKnownUniquelyReferencedySbxzRlzClF"
#define IS_KNOWN_UNIQUE_OR_NIL "$ss25isKnownUniquelyReferencedySbxSgzRlzClF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *

extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

typedef SWIFT void (*Lock)(uint32_t state, SELF);
typedef SWIFT bool (*TryLock)(SELF);
typedef SWIFT void (*Unlock)(SELF);
typedef SWIFT bool (*IsKnownUnique)(void **reference, const void *type);
typedef bool (*IsUnique)(const void *object);
typedef void (*Release)(void *object);
typedef void (*ReleaseMany)(void *object, uint32_t count);

static void *original(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort(); // another toolchain: its library has to be looked at again
    return found;
}

// The function that ours stands before, looked for once. Two threads that look at the same time find the same.
#define ORIGINAL(type, name) ({ \
    static void *_Atomic found; \
    if (!found) found = original(name); \
    (type)found; \
})

static void acquire(const void *address) {
    if (__tsan_acquire) __tsan_acquire((void *)address);
}

static void release(const void *address) {
    if (__tsan_release) __tsan_release((void *)address);
}

// Mutex

SWIFT void lockSlow(uint32_t state, SELF mutex) __asm__(LOCK);
SWIFT void lockSlow(uint32_t state, SELF mutex) {
    ORIGINAL(Lock, LOCK)(state, mutex);
    acquire(mutex);
}

SWIFT bool tryLockSlow(SELF mutex) __asm__(TRY_LOCK);
SWIFT bool tryLockSlow(SELF mutex) {
    bool isTaken = ORIGINAL(TryLock, TRY_LOCK)(mutex);
    if (isTaken) acquire(mutex);
    return isTaken;
}

SWIFT void unlockSlow(SELF mutex) __asm__(UNLOCK);
SWIFT void unlockSlow(SELF mutex) {
    release(mutex);
    ORIGINAL(Unlock, UNLOCK)(mutex);
}

// Reference counts

bool swift_isUniquelyReferenced_nonNull_native(const void *object) {
    bool isUnique = ORIGINAL(IsUnique, "swift_isUniquelyReferenced_nonNull_native")(object);
    if (isUnique) acquire(object);
    return isUnique;
}

bool swift_isUniquelyReferenced_native(const void *object) {
    return object && swift_isUniquelyReferenced_nonNull_native(object);
}

// What our code calls where nothing is inlined.
SWIFT bool isKnownUnique(void **reference, const void *type) __asm__(IS_KNOWN_UNIQUE);
SWIFT bool isKnownUnique(void **reference, const void *type) {
    bool isUnique = ORIGINAL(IsKnownUnique, IS_KNOWN_UNIQUE)(reference, type);
    if (isUnique) acquire(*reference);
    return isUnique;
}

SWIFT bool isKnownUniqueOrNil(void **reference, const void *type) __asm__(IS_KNOWN_UNIQUE_OR_NIL);
SWIFT bool isKnownUniqueOrNil(void **reference, const void *type) {
    bool isUnique = ORIGINAL(IsKnownUnique, IS_KNOWN_UNIQUE_OR_NIL)(reference, type);
    if (isUnique) acquire(*reference);
    return isUnique;
}

// Before the object may be gone.
static void letGo(const void *object) {
    if (object && !swift_isUniquelyReferenced_nonNull_native(object)) release(object);
}

void swift_release(void *object) {
    letGo(object);
    ORIGINAL(Release, "swift_release")(object);
}

void swift_release_n(void *object, uint32_t count) {
    letGo(object);
    ORIGINAL(ReleaseMany, "swift_release_n")(object, count);
}

// What Swift's Glibc module hides: header-only shims.
#ifndef QIMESH_CQISYSTEM_H
#define QIMESH_CQISYSTEM_H

#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/// `struct ucred` of unix(7), the value of SO_PEERCRED: who is at the other end of a connected unix socket.
struct qimesh_ucred {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};
typedef struct qimesh_ucred qimesh_ucred;

/// RUSAGE_THREAD of getrusage(2): the times of the calling thread.
enum { qimesh_rusage_thread = 1 };

/// gettid(2).
static inline int32_t qimesh_gettid(void) { return (int32_t)syscall(SYS_gettid); }

#endif

// What Swift's Glibc module hides: header-only shims.
#ifndef QIMESH_CQISYSTEM_H
#define QIMESH_CQISYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/// `struct ucred` of unix(7), the value of SO_PEERCRED: who is at the other end of a connected unix socket.
struct qimesh_ucred {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};
typedef struct qimesh_ucred qimesh_ucred;

/// User and system time of the calling thread in microseconds: getrusage(2) with RUSAGE_THREAD, which hides behind a feature macro.
static inline int qimesh_thread_times(int64_t *user, int64_t *system) {
    long usage[18] = {0};  // struct rusage: two times of seconds and microseconds, fourteen counts
    if (syscall(SYS_getrusage, 1, usage) != 0) return -1;
    *user = (int64_t)usage[0] * 1000000 + usage[1];
    *system = (int64_t)usage[2] * 1000000 + usage[3];
    return 0;
}

/// Forbids core dumps of this process, and reading its memory or environment to other processes of its user: prctl(2) PR_SET_DUMPABLE,
/// RLIMIT_CORE. 0, or -1 and errno.
static inline int qimesh_seal_process(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return -1;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// Structures that several C modules include are named as a member of whichever came first, which differs from build to build: their
// fields are read here.

/// Seconds since the last change of a file, not following links; -1 and errno when it cannot be asked.
static inline int64_t qimesh_age(const char *path) {
    struct stat status;
    if (lstat(path, &status) != 0) return -1;
    return (int64_t)(time(NULL) - status.st_mtime);
}

/// What stat(2) says of a file, as far as we ask.
struct qimesh_file_status {
    uint32_t mode;
    uint32_t owner;
    uint64_t inode;
    int64_t size;
    int64_t seconds;
    int64_t nanoseconds;
};
typedef struct qimesh_file_status qimesh_file_status;

static inline void qimesh_take_status(const struct stat *status, qimesh_file_status *result) {
    result->mode = status->st_mode;
    result->owner = status->st_uid;
    result->inode = status->st_ino;
    result->size = status->st_size;
    result->seconds = status->st_mtim.tv_sec;
    result->nanoseconds = status->st_mtim.tv_nsec;
}

/// Of an open file; -1 and errno when it cannot be asked.
static inline int qimesh_fstat(int descriptor, qimesh_file_status *result) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return -1;
    qimesh_take_status(&status, result);
    return 0;
}

/// Of what a path leads to; -1 and errno when it cannot be asked.
static inline int qimesh_stat(const char *path, qimesh_file_status *result) {
    struct stat status;
    if (stat(path, &status) != 0) return -1;
    qimesh_take_status(&status, result);
    return 0;
}

/// Whether nobody listens at a socket file that is there; 1 or 0.
static inline int qimesh_is_refused(const char *path) {
    struct sockaddr_un address;
    size_t length = strlen(path);
    int probe, refused;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (length + 1 > sizeof address.sun_path) return 0;
    memcpy(address.sun_path, path, length);
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) return 0;
    refused = connect(probe, (const struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED;
    close(probe);
    return refused;
}

/// The time of day in microseconds since 1970.
static inline int64_t qimesh_microseconds(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return (int64_t)now.tv_sec * 1000000 + now.tv_usec;
}

/// Lets no read and no write of a socket take longer; 0, or -1 and errno.
static inline int qimesh_limit(int socket, int seconds) {
    struct timeval limit = {seconds, 0};
    if (setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0) return -1;
    return setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/// gettid(2).
static inline int32_t qimesh_gettid(void) { return (int32_t)syscall(SYS_gettid); }

/// A socket that ``qimesh_socket_user`` asks; -1 and errno.
int qimesh_open_sock_diag(void);

/// The user whose TCP socket has the address `client` and is connected to `server` (4 or 16 bytes each), in this network namespace:
/// sock_diag(7); `number` tells one question from the next. 1 when there is one that a process has, 0 when there is none, -1 and errno
/// when it cannot be asked. Does not wait: the kernel answers a question for one socket before it returns.
int qimesh_socket_user(
    int netlink, int family, const uint8_t *client, uint16_t client_port, const uint8_t *server, uint16_t server_port, uint32_t number,
    uint32_t *user);

/// The soft limit of file descriptors; `raise` sets it to the hard one before (getrlimit(2)). -1 and errno when it is not known.
int64_t qimesh_descriptor_limit(int raise);

// Values of <linux/fcntl.h> and <linux/memfd.h>, which hide behind feature macros that a module's importer cannot set.
#define QIMESH_F_ADD_SEALS 1033
#define QIMESH_F_GET_SEALS 1034
#define QIMESH_F_SEAL_SEAL 0x0001
#define QIMESH_F_SEAL_SHRINK 0x0002
#define QIMESH_F_SEAL_GROW 0x0004
#define QIMESH_F_SEAL_FUTURE_WRITE 0x0010

/// An anonymous file in memory that can be sealed, closed on exec; -1 and errno as memfd_create(2).
static inline int qimesh_memfd(const char *name) {
    return (int)syscall(SYS_memfd_create, name, 0x0001u | 0x0002u);
}

/// Adds seals to such a file; -1 and errno as fcntl(2).
static inline int qimesh_add_seals(int descriptor, int seals) { return fcntl(descriptor, QIMESH_F_ADD_SEALS, seals); }

/// The seals of a file; -1 for one that is no memory file.
static inline int qimesh_get_seals(int descriptor) { return fcntl(descriptor, QIMESH_F_GET_SEALS); }

/// Connects to an abstract unix socket (unix(7)) whose name is padded with zeros, as NIO binds one; 0, or -1 and errno.
static inline int qimesh_connect_abstract(int socket, const char *name) {
    struct sockaddr_un address;
    size_t length = strlen(name);
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (length == 0 || length + 1 > sizeof address.sun_path) {
        errno = EINVAL;
        return -1;
    }
    memcpy(address.sun_path + 1, name, length);
    return connect(socket, (const struct sockaddr *)&address, sizeof address);
}

// One byte, and room for one descriptor beside it.
struct qimesh_descriptor_message {
    char byte;
    struct iovec part;
    size_t control[CMSG_SPACE(sizeof(int)) / sizeof(size_t)];  // aligned as a struct cmsghdr has to be
    struct msghdr message;
};

static inline struct msghdr *qimesh_prepare(struct qimesh_descriptor_message *parcel) {
    memset(parcel, 0, sizeof *parcel);
    parcel->byte = 1;
    parcel->part.iov_base = &parcel->byte;
    parcel->part.iov_len = 1;
    parcel->message.msg_iov = &parcel->part;
    parcel->message.msg_iovlen = 1;
    parcel->message.msg_control = parcel->control;
    parcel->message.msg_controllen = sizeof parcel->control;
    return &parcel->message;
}

/// Sends one byte with a descriptor; 1, or -1 and errno.
static inline ssize_t qimesh_send_descriptor(int socket, int descriptor) {
    struct qimesh_descriptor_message parcel;
    struct msghdr *message = qimesh_prepare(&parcel);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return sendmsg(socket, message, MSG_NOSIGNAL);
}

/// Receives one byte and the one descriptor that came with it, closed on exec; -1 when none or more than one came. The caller
/// closes it.
static inline int qimesh_receive_descriptor(int socket) {
    struct qimesh_descriptor_message parcel;
    struct msghdr *message = qimesh_prepare(&parcel);
    ssize_t count = recvmsg(socket, message, MSG_CMSG_CLOEXEC);
    if (count != 1) return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return -1;
    int descriptors[2] = {-1, -1};  // CMSG_SPACE leaves room for a second one
    size_t bytes = header->cmsg_len - CMSG_LEN(0);
    if (bytes > sizeof descriptors) bytes = sizeof descriptors;
    memcpy(descriptors, CMSG_DATA(header), bytes);
    if (bytes == sizeof(int) && !(message->msg_flags & MSG_CTRUNC)) return descriptors[0];
    // Whoever sends more than one is not one of ours.
    if (descriptors[0] >= 0) close(descriptors[0]);
    if (descriptors[1] >= 0) close(descriptors[1]);
    return -1;
}

#endif

#include "CQiSystem.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/resource.h>

int qimesh_open_sock_diag(void) { return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG); }

int qimesh_socket_user(
    int netlink, int family, const uint8_t *client, uint16_t client_port, const uint8_t *server, uint16_t server_port,
    uint32_t number, uint32_t *user) {
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 question;
    } request;
    union {
        struct nlmsghdr header;
        char bytes[4096];
    } answer;
    size_t length = family == AF_INET ? 4 : 16;
    memset(&request, 0, sizeof request);
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.header.nlmsg_seq = number;
    request.question.sdiag_family = (uint8_t)family;
    request.question.sdiag_protocol = IPPROTO_TCP;
    request.question.idiag_states = ~0u;
    memcpy(request.question.id.idiag_src, client, length);
    memcpy(request.question.id.idiag_dst, server, length);
    request.question.id.idiag_sport = htons(client_port);
    request.question.id.idiag_dport = htons(server_port);
    request.question.id.idiag_cookie[0] = request.question.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (send(netlink, &request, sizeof request, 0) != (ssize_t)sizeof request) return -1;
    for (;;) {
        ssize_t count = recv(netlink, &answer, sizeof answer, 0);
        if (count < 0) return -1;
        if (!NLMSG_OK(&answer.header, (size_t)count)) return -1;
        if (answer.header.nlmsg_seq == request.header.nlmsg_seq) break;  // else: left over
    }
    if (answer.header.nlmsg_type == NLMSG_ERROR) {
        errno = -((const struct nlmsgerr *)NLMSG_DATA(&answer.header))->error;
        return errno == ENOENT ? 0 : -1;
    }
    if (answer.header.nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg))) return -1;
    const struct inet_diag_msg *found = (const struct inet_diag_msg *)NLMSG_DATA(&answer.header);
    // Also a socket that listens at the port is an answer, and one that its process has closed, which is of user 0 then.
    if (found->idiag_inode == 0 || found->id.idiag_sport != htons(client_port) || found->id.idiag_dport != htons(server_port)) return 0;
    *user = found->idiag_uid;
    return 1;
}

int64_t qimesh_descriptor_limit(int raise) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
    if (raise && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
    }
    return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}

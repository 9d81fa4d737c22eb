#define _GNU_SOURCE
#include "wire.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAXIMUM_LINKS = 4096 };

typedef struct {
    int epoll, listener;
    SSL_CTX *tls;
    Link *links[MAXIMUM_LINKS]; // by descriptor
    int ended;
} Server;

static void watch(Server *server, int fd, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(server->epoll, operation, fd, &event)) die("epoll_ctl");
}

static void flush(Server *server, Link *link) {
    int wanted = link->wantsWrite;
    linkFlush(link);
    if (wanted != link->wantsWrite) watch(server, link->fd, EPOLL_CTL_MOD, EPOLLIN | (link->wantsWrite ? EPOLLOUT : 0));
}

static void acceptOne(Server *server) {
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (fd < 0) return;
    if (fd >= MAXIMUM_LINKS) die("too many connections");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    server->links[fd] = linkMake(fd, server->tls, 1);
    watch(server, fd, EPOLL_CTL_ADD, EPOLLIN);
}

// Byte 26 of the header asks for what it counts, 16 bits: that many copies for every connection, once per burst.
static void broadcast(Server *server, const uint8_t *frame, size_t length) {
    uint16_t count;
    memcpy(&count, frame + 26, 2);
    for (int fd = 0; fd < MAXIMUM_LINKS; fd++) {
        if (!server->links[fd]) continue;
        for (int i = 0; i < count; i++) linkAppend(server->links[fd], frame, length);
        flush(server, server->links[fd]);
    }
}

static void readable(Server *server, Link *link) {
    if (!linkRead(link)) {
        server->links[link->fd] = NULL;
        linkFree(link);
        return;
    }
    uint8_t *frame;
    size_t length;
    while ((length = linkFrame(link, &frame))) {
        if (frame[26] || frame[27]) broadcast(server, frame, length);
        else linkAppend(link, frame, length);
    }
    flush(server, link);
}

int serve(const char *address, const char *certificate, const char *key) {
    static Server server;
    server.listener = openSocket(address, 1);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (isTLS(address)) server.tls = tlsContext(1, certificate, key);
    watch(&server, server.listener, EPOLL_CTL_ADD, EPOLLIN);
    watch(&server, 0, EPOLL_CTL_ADD, EPOLLIN);
    struct sockaddr_in name = {0};
    socklen_t size = sizeof name;
    getsockname(server.listener, (struct sockaddr *)&name, &size);
    printf("ready {\"port\": %d}\n", ntohs(name.sin_port));
    fflush(stdout);
    struct epoll_event events[256];
    while (!server.ended) {
        int count = epoll_wait(server.epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == 0) server.ended = 1; // standard input's end
            else if (fd == server.listener) acceptOne(&server);
            else if (server.links[fd] && events[i].events & EPOLLOUT) flush(&server, server.links[fd]);
            else if (server.links[fd]) readable(&server, server.links[fd]);
        }
    }
    return 0;
}

#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void die(const char *what) {
    fprintf(stderr, "baseline: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double cpuMicroseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

int isTLS(const char *address) { return strncmp(address, "tls:", 4) == 0; }

static int openUnix(const char *path, int listening) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof name.sun_path) die("path too long");
    strcpy(name.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    if (listening) unlink(path);
    if (listening ? bind(fd, (struct sockaddr *)&name, sizeof name) : connect(fd, (struct sockaddr *)&name, sizeof name)) die(path);
    return fd;
}

// PORT on loopback, or IPv4:PORT.
static int openTCP(const char *text, int listening) {
    const char *colon = strchr(text, ':');
    struct sockaddr_in name = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(colon ? colon + 1 : text)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (colon) {
        char host[INET_ADDRSTRLEN] = "";
        if ((size_t)(colon - text) >= sizeof host) die(text);
        memcpy(host, text, (size_t)(colon - text));
        if (inet_pton(AF_INET, host, &name.sin_addr) != 1) die(text);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (listening) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (listening ? bind(fd, (struct sockaddr *)&name, sizeof name) : connect(fd, (struct sockaddr *)&name, sizeof name)) die("tcp");
    return fd;
}

int openSocket(const char *address, int listening) {
    const char *rest = strchr(address, ':');
    if (!rest) die(address);
    int fd = strncmp(address, "unix:", 5) == 0 ? openUnix(rest + 1, listening) : openTCP(rest + 1, listening);
    if (listening && listen(fd, 512)) die("listen");
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

SSL_CTX *tlsContext(int server, const char *certificate, const char *key) {
    SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!context) die("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (server && (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 || SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1))
        die("certificate");
    return context;
}

Link *linkMake(int fd, SSL_CTX *tls, int server) {
    Link *link = calloc(1, sizeof *link);
    if (!link) die("calloc");
    link->fd = fd;
    if (tls) {
        link->tls = SSL_new(tls);
        SSL_set_fd(link->tls, fd);
        if (server) SSL_set_accept_state(link->tls);
        else SSL_set_connect_state(link->tls);
    }
    return link;
}

void linkFree(Link *link) {
    if (link->tls) SSL_free(link->tls);
    close(link->fd);
    free(link->in);
    free(link->out);
    free(link);
}

static void room(uint8_t **buffer, size_t *start, size_t *end, size_t *size, size_t count) {
    if (*start == *end) *start = *end = 0;
    if (*end + count <= *size) return;
    memmove(*buffer, *buffer + *start, *end - *start);
    *end -= *start;
    *start = 0;
    if (*end + count <= *size) return;
    *size = (*end + count) * 2;
    if (!(*buffer = realloc(*buffer, *size))) die("realloc");
}

static ssize_t readSome(Link *link, uint8_t *bytes, size_t count) {
    if (!link->tls) {
        ssize_t n = read(link->fd, bytes, count);
        return n < 0 && errno == EAGAIN ? -2 : n;
    }
    int n = SSL_read(link->tls, bytes, (int)count);
    if (n > 0) return n;
    int reason = SSL_get_error(link->tls, n);
    return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? -2 : 0;
}

int linkRead(Link *link) {
    // A big frame's rest is asked for at once, as any implementation would.
    size_t want = READ_SIZE, have = link->inEnd - link->inStart;
    if (have >= HEADER) {
        uint32_t length;
        memcpy(&length, link->in + link->inStart + 8, 4);
        if (HEADER + (size_t)length > have + want) want = HEADER + (size_t)length - have;
    }
    for (;;) {
        room(&link->in, &link->inStart, &link->inEnd, &link->inSize, want);
        ssize_t n = readSome(link, link->in + link->inEnd, link->inSize - link->inEnd);
        if (n == -2) return 1;
        if (n <= 0) return 0;
        link->inEnd += (size_t)n;
        // Level-triggered: what is left announces itself again. TLS may hold decrypted bytes that do not.
        if (!link->tls || !SSL_pending(link->tls)) return 1;
    }
}

size_t linkFrame(Link *link, uint8_t **frame) {
    size_t have = link->inEnd - link->inStart;
    if (have < HEADER) return 0;
    uint32_t length;
    memcpy(&length, link->in + link->inStart + 8, 4);
    if (have < HEADER + (size_t)length) return 0;
    *frame = link->in + link->inStart;
    link->inStart += HEADER + length;
    return HEADER + length;
}

void linkAppend(Link *link, const void *bytes, size_t count) {
    room(&link->out, &link->outStart, &link->outEnd, &link->outSize, count);
    memcpy(link->out + link->outEnd, bytes, count);
    link->outEnd += count;
}

void linkAppendFrame(Link *link, uint32_t id, const uint8_t *payload, uint32_t length) {
    uint8_t header[HEADER] = {0x42, 0xde, 0xad, 0x42};
    memcpy(header + 4, &id, 4);
    memcpy(header + 8, &length, 4);
    linkAppend(link, header, HEADER);
    linkAppend(link, payload, length);
}

void linkFlush(Link *link) {
    link->wantsWrite = 0;
    while (link->outStart < link->outEnd) {
        ssize_t n;
        if (link->tls) {
            n = SSL_write(link->tls, link->out + link->outStart, (int)(link->outEnd - link->outStart));
            if (n <= 0) {
                int reason = SSL_get_error(link->tls, (int)n);
                if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) die("SSL_write");
                link->wantsWrite = reason == SSL_ERROR_WANT_WRITE;
                return;
            }
        } else {
            n = write(link->fd, link->out + link->outStart, link->outEnd - link->outStart);
            if (n < 0 && errno == EAGAIN) {
                link->wantsWrite = 1;
                return;
            }
            if (n <= 0) die("write");
        }
        link->outStart += (size_t)n;
    }
}

#pragma once
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

// A frame as qi's: 28 bytes, the payload's length little-endian at 8, then the payload.
enum { HEADER = 28, READ_SIZE = 1 << 18 };

/// One end of a connection: bytes that came and are not used yet, bytes that wait to leave. Ends the process on any error: a
/// baseline has nobody to tell.
typedef struct {
    int fd;
    SSL *tls; // NULL: plain
    uint8_t *in, *out;
    size_t inStart, inEnd, inSize, outStart, outEnd, outSize;
    int wantsWrite;
} Link;

void die(const char *what);
uint64_t nanoseconds(void);
double cpuMicroseconds(void);

/// "unix:/path", "tcp:PORT" or "tls:PORT" on loopback; `listening`: a listening descriptor, else a connected one. Non-blocking.
int openSocket(const char *address, int listening);
int isTLS(const char *address);
SSL_CTX *tlsContext(int server, const char *certificate, const char *key);

Link *linkMake(int fd, SSL_CTX *tls, int server);
void linkFree(Link *link);
/// Reads what is there. 0: the other end is gone.
int linkRead(Link *link);
/// The next whole frame's length and start, 0 when there is none yet.
size_t linkFrame(Link *link, uint8_t **frame);
void linkAppend(Link *link, const void *bytes, size_t count);
/// Writes what it can; `wantsWrite` tells whether some is left.
void linkFlush(Link *link);
void linkAppendFrame(Link *link, uint32_t id, const uint8_t *payload, uint32_t length);

int serve(const char *address, const char *certificate, const char *key);
int drive(int count, char **arguments);

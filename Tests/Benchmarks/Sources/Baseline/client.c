#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef struct {
    int epoll;
    SSL_CTX *tls;
    const char *address;
} Client;

static Link *dial(Client *client) {
    int fd = openSocket(client->address, 0);
    struct epoll_event event = {.events = EPOLLIN};
    Link *link = linkMake(fd, client->tls, 0);
    event.data.ptr = link;
    if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    return link;
}

// Sends all, reading meanwhile what the TLS handshake needs. Then waits for bytes.
static Link *turn(Client *client, Link *sender) {
    if (sender && sender->outStart < sender->outEnd) {
        linkFlush(sender);
        if (sender->outStart < sender->outEnd) {
            struct epoll_event event = {.events = EPOLLIN | (sender->wantsWrite ? EPOLLOUT : 0), .data.ptr = sender};
            epoll_ctl(client->epoll, EPOLL_CTL_MOD, sender->fd, &event);
        }
    }
    struct epoll_event event;
    if (epoll_wait(client->epoll, &event, 1, -1) != 1) die("epoll_wait");
    Link *link = event.data.ptr;
    if (event.events & EPOLLOUT) {
        linkFlush(link);
        if (!link->wantsWrite) {
            struct epoll_event quiet = {.events = EPOLLIN, .data.ptr = link};
            epoll_ctl(client->epoll, EPOLL_CTL_MOD, link->fd, &quiet);
        }
        if (!(event.events & EPOLLIN)) return link;
    }
    if (!linkRead(link)) die("the server closed");
    return link;
}

static void roundTrip(Client *client, Link *link, const uint8_t *payload, uint32_t length) {
    uint8_t *frame;
    linkAppendFrame(link, 1, payload, length);
    do turn(client, link);
    while (!linkFrame(link, &frame));
}

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void printLatency(double *samples, int count, double cpu) {
    qsort(samples, (size_t)count, sizeof *samples, compare);
    printf("result {\"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"cpu\": %.3f}\n", samples[count / 2], samples[(int)(count * 0.99)],
           samples[(int)(count * 0.999)], cpu / count);
}

static void latency(Client *client, int count, uint32_t size) {
    Link *link = dial(client);
    uint8_t *payload = calloc(1, size);
    double *samples = calloc((size_t)count, sizeof *samples);
    for (int i = 0; i < count / 10 + 20; i++) roundTrip(client, link, payload, size);
    double cpu = cpuMicroseconds();
    for (int i = 0; i < count; i++) {
        uint64_t start = nanoseconds();
        roundTrip(client, link, payload, size);
        samples[i] = (double)(nanoseconds() - start) / 1e3;
    }
    printLatency(samples, count, cpuMicroseconds() - cpu);
}

// `window` calls in flight: every burst of answers is answered by as many calls in one write.
static void inflight(Client *client, int count, int window, uint32_t size) {
    Link *link = dial(client);
    uint8_t *payload = calloc(1, size), *frame;
    roundTrip(client, link, payload, size);
    int sent = 0, received = 0;
    uint64_t start = nanoseconds();
    double cpu = cpuMicroseconds();
    for (; sent < window && sent < count; sent++) linkAppendFrame(link, (uint32_t)sent, payload, size);
    while (received < count) {
        turn(client, link);
        while (linkFrame(link, &frame)) {
            received++;
            if (sent < count) linkAppendFrame(link, (uint32_t)sent++, payload, size);
        }
    }
    double seconds = (double)(nanoseconds() - start) / 1e9;
    printf("result {\"rate\": %.1f, \"cpu\": %.3f}\n", count / seconds, (cpuMicroseconds() - cpu) / count);
}

static void connecting(Client *client, int count) {
    double *samples = calloc((size_t)count, sizeof *samples);
    uint8_t payload[16] = {0};
    double cpu = cpuMicroseconds();
    for (int i = 0; i < count; i++) {
        uint64_t start = nanoseconds();
        Link *link = dial(client);
        roundTrip(client, link, payload, sizeof payload);
        samples[i] = (double)(nanoseconds() - start) / 1e3;
        linkFree(link);
    }
    printLatency(samples, count, cpuMicroseconds() - cpu);
}

// `subscribers` connections; the first asks for bursts of 100 events to all.
static void fanout(Client *client, int events, int subscribers) {
    Link **links = calloc((size_t)subscribers, sizeof *links);
    uint8_t payload[16] = {0}, *frame;
    for (int i = 0; i < subscribers; i++) roundTrip(client, links[i] = dial(client), payload, sizeof payload);
    uint64_t start = nanoseconds();
    double cpu = cpuMicroseconds();
    for (int done = 0; done < events; done += 100) {
        linkAppendFrame(links[0], 1, payload, sizeof payload);
        uint16_t burst = 100;
        memcpy(links[0]->out + links[0]->outEnd - sizeof payload - 2, &burst, 2);
        long missing = 100L * subscribers;
        while (missing > 0) {
            Link *link = turn(client, links[0]);
            while (linkFrame(link, &frame)) missing--;
        }
    }
    double seconds = (double)(nanoseconds() - start) / 1e9, total = (double)events * subscribers;
    printf("result {\"rate\": %.1f, \"cpu\": %.3f}\n", total / seconds, (cpuMicroseconds() - cpu) / total);
}

int drive(int count, char **arguments) {
    if (count < 3) die("usage: drive ADDRESS WORK COUNT [SIZE]");
    Client client = {.epoll = epoll_create1(EPOLL_CLOEXEC), .address = arguments[0]};
    if (isTLS(client.address)) client.tls = tlsContext(0, NULL, NULL);
    const char *work = arguments[1];
    int n = atoi(arguments[2]), size = count > 3 ? atoi(arguments[3]) : 16;
    if (n < 1) die("COUNT");
    if (strcmp(work, "latency") == 0 || strcmp(work, "bulk") == 0) latency(&client, n, (uint32_t)size);
    else if (strcmp(work, "inflight") == 0) inflight(&client, n, 64, 16);
    else if (strcmp(work, "connect") == 0) connecting(&client, n);
    else if (strcmp(work, "fanout") == 0) fanout(&client, n, size);
    else die("unknown work");
    return 0;
}

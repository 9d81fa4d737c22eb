// The raw C baseline: an epoll echo of whole frames over unix, TCP or TLS 1.3.
//
// An ADDRESS is unix:PATH, tcp:PORT or tls:PORT on loopback, or tcp:IPv4:PORT and so on.
//
//   Baseline serve ADDRESS [CERTIFICATE KEY]     prints "ready {…}"; ends with standard input
//   Baseline drive ADDRESS WORK COUNT [SIZE]     prints "result {…}"; WORK: latency bulk inflight connect fanout
#include "wire.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    if (count >= 3 && strcmp(arguments[1], "serve") == 0)
        return serve(arguments[2], count > 3 ? arguments[3] : NULL, count > 4 ? arguments[4] : NULL);
    if (count >= 5 && strcmp(arguments[1], "drive") == 0) return drive(count - 2, arguments + 2);
    errno = EINVAL;
    die("usage: Baseline serve|drive ADDRESS …");
    return 2;
}

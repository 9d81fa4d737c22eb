import Foundation
import QiMesh
import Synchronization

/// A program that this command runs in its own process group and terminal, and whose end it waits for.
final class ChildProcess: Sendable {
    /// How it ended.
    enum Status: Hashable, Sendable {
        case exited(Int32)
        case killed(Int32)

        fileprivate init(wait status: Int32) {
            // wait(2): the low seven bits are the signal, zero for an exit.
            self = status & 0x7F == 0 ? .exited((status >> 8) & 0xFF) : .killed(status & 0x7F)
        }

        /// As a shell tells it.
        var code: Int32 {
            switch self {
            case .exited(let code): code
            case .killed(let signal): 128 + signal
            }
        }
    }

    private let pid: pid_t
    private let isOver = Mutex(false)
    private let ending = AsyncStream.makeStream(of: Status.self, bufferingPolicy: .bufferingNewest(1))

    /// Starts it. Signals that this process ignores are as usual in it.
    ///
    /// - Throws: `.notFound` for a program that is not there, else `.system`.
    init(_ arguments: [String], environment: [String: String]) throws(CommandFailure) {
        var attributes = posix_spawnattr_t()
        var usual = sigset_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        sigfillset(&usual)
        posix_spawnattr_setsigdefault(&attributes, &usual)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let words = arguments.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + variables { free(text) } }
        var pid: pid_t = 0
        let error = posix_spawnp(&pid, arguments[0], nil, &attributes, words, variables)
        guard error == 0 else {
            throw CommandFailure(
                error == ENOENT ? .notFound : .system, "\(arguments[0]) cannot be started: \(String(cString: strerror(error)))")
        }
        self.pid = pid
        // waitpid(2) holds a thread up for as long as it takes.
        Thread.detachNewThread { [self] in
            var information = siginfo_t()
            // Its number stays its own until it is reaped.
            while waitid(P_PID, id_t(self.pid), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
            let status = isOver.withLock { isOver in
                isOver = true
                var status: Int32 = 0
                while waitpid(self.pid, &status, 0) < 0, errno == EINTR {}
                return status
            }
            ending.continuation.yield(Status(wait: status))
            ending.continuation.finish()
        }
    }

    /// Returns when it has ended; nil when the task was cancelled. To be called by one task.
    func ended() async -> Status? {
        for await status in ending.stream { return status }
        return nil
    }

    /// Sends it a signal, unless it has ended: its number may be another's by then.
    func signal(_ number: Int32) { isOver.withLock { if !$0 { _ = kill(pid, number) } } }
}

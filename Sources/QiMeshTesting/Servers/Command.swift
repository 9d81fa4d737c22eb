import Dispatch
import Foundation
import Glibc
import Synchronization

/// Runs small commands for fixtures.
enum Command {
    /// Held while a pipe is made and a process started: a process started meanwhile would inherit the pipe's ends.
    private static let starting = Mutex(())

    /// Runs a command found in PATH to its end. Throws ``ServerFailure`` with its output when it fails.
    static func run(_ arguments: [String]) throws {
        let process = Process()
        let output = Pipe()
        let ended = DispatchSemaphore(value: 0)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        // `waitUntilExit` turns a run loop without pause.
        process.terminationHandler = { _ in ended.signal() }
        do {
            try starting.withLock { _ in try start(process) }
        } catch {
            throw ServerFailure("cannot run \(arguments.first ?? ""): \(error)")
        }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        // The process that has ended is kept by Foundation, and its pipe with it.
        try? output.fileHandleForReading.close()
        ended.wait()
        guard process.terminationStatus == 0 else {
            throw ServerFailure("\(arguments.joined(separator: " ")) ended \(process.terminationStatus): \(text)")
        }
    }

    /// Starts a process whose standard input is a pipe that only this process can write.
    /// - Returns: The write end; closing it, or dying, tells the process to end.
    static func lifeline(_ process: Process) throws -> Int32 {
        try starting.withLock { _ in
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw ServerFailure("no pipe: errno \(errno)") }
            _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
            process.standardInput = FileHandle(fileDescriptor: ends[0], closeOnDealloc: false)
            defer { close(ends[0]) }
            do {
                try start(process)
            } catch {
                close(ends[1])
                throw ServerFailure("cannot start: \(error)")
            }
            return ends[1]
        }
    }

    /// Starts a process that can be signalled: the threads of the pool block all signals, and a child inherits that.
    private static func start(_ process: Process) throws {
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
    }
}

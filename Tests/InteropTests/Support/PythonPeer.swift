import Foundation
import Glibc
import Synchronization
import Testing

/// A Python process on real libqi, on a leash: it ends when this process closes its standard input, or dies.
final class PythonPeer: Sendable {
    private struct State {
        var lines: [String] = []
        var isAtEnd = false
        var status: Int32?
        var socket: Int32
        var lineWaiters: [CheckedContinuation<Void, Never>] = []
        var endWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>
    private let pid: pid_t
    private let log: String
    let name: String

    /// Starts `script` of the folder `Peers`.
    init(_ script: String, _ arguments: [String], home: String) throws {
        let log = "\(home)/\(script).\(UUID().uuidString).log"
        let path = Self.checkout.appendingPathComponent("Tests/InteropTests/Peers/\(script)").path
        let child = try ChildProcess(
            [Self.python, "-S", "-c", Self.launcher, "-u", path] + arguments,
            environment: ["HOME": home, "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"], standardError: log)
        pid = child.pid
        name = script
        self.log = log
        state = Mutex(State(socket: child.socket))
        Thread { [self] in follow(child.socket) }.start()
    }

    /// A socket of this process that a child kept open would not end for its peer when we close it, and not all are marked
    /// to be closed: the child lets go of what it inherited, and only then becomes the peer.
    private static let launcher =
        "import os, sys; os.closerange(3, 65536); os.execv(sys.executable, [sys.executable] + sys.argv[1:])"

    /// The checkout that this file was compiled in; not the bundle, for tests of several targets use the peers.
    private static let checkout: URL = {
        let here = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        return here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }()

    /// `QIMESH_TEST_PYTHON`, else the environment that `Tests/run` makes in this checkout.
    private static var python: String {
        ProcessInfo.processInfo.environment["QIMESH_TEST_PYTHON"]
            ?? checkout.appendingPathComponent(".build/python/bin/python").path
    }

    private func follow(_ socket: Int32) {
        var rest: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(socket, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            rest += chunk.prefix(count)
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest.removeSubrange(...end)
                resume { $0.lines.append(line) }
            }
        }
        resume { $0.isAtEnd = true }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        let waiters = state.withLock { state in
            state.status = status
            close(state.socket)
            state.socket = -1
            defer { state.endWaiters = [] }
            return state.endWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func resume(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            defer { state.lineWaiters = [] }
            return state.lineWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// The next line of its standard output; nil at its end.
    func line() async -> String? {
        while true {
            let (line, isAtEnd): (String?, Bool) = state.withLock { state in
                (state.lines.isEmpty ? nil : state.lines.removeFirst(), state.isAtEnd)
            }
            if line != nil || isAtEnd { return line }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        if !state.lines.isEmpty || state.isAtEnd { return true }
                        state.lineWaiters.append(continuation)
                        return false
                    }
                    if isReady { continuation.resume() }
                }
            } onCancel: {
                // A test out of time: the peer's end is the end of the waiting.
                kill()
            }
        }
    }

    /// Writes a line to its standard input.
    func send(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        let sent = state.withLock { state in
            state.socket < 0 ? -1 : Glibc.send(state.socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }
        #expect(sent == bytes.count, "\(name) does not read: \(errors)")
    }

    /// The next line, which has to come.
    func requiredLine() async throws -> String {
        let line = await line()
        return try #require(line, "\(name) ended early: \(errors)")
    }

    /// How the process ended, as `waitpid` tells it.
    func ended() async -> Int32 {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.status != nil { return true }
                state.endWaiters.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
        return state.withLock { $0.status ?? 0 }
    }

    /// What it and libqi wrote to standard error.
    var errors: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    func kill() {
        state.withLock { state in
            if state.status == nil { _ = Glibc.kill(pid, SIGKILL) }
        }
    }

    /// Lets go of the leash.
    func end() {
        state.withLock { state in
            if state.socket >= 0 { shutdown(state.socket, Int32(SHUT_WR)) }
        }
    }

    deinit { end() }
}

/// Runs `body` with a peer that serves, and ends the peer however `body` ends.
func withPeer<Result: Sendable>(
    _ script: String, _ arguments: [String], home: String, _ body: (PythonPeer) async throws -> Result
) async throws -> Result {
    let peer = try PythonPeer(script, arguments + ["--leash"], home: home)
    do {
        let result = try await body(peer)
        peer.end()
        _ = await peer.ended()
        return result
    } catch {
        peer.end()
        _ = await peer.ended()
        throw error
    }
}

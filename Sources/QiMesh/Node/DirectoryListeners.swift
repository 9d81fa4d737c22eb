import Glibc
import Logging
import NIOCore
import QiMessaging
import ServiceLifecycle
import Synchronization

/// Where the robot's own bus is listened at: what is open, and the addresses that this machine does not have yet.
final class DirectoryListeners: Sendable {
    private struct State {
        var open: [Listener] = []
        var late: [Endpoint] = []
    }

    private let server: DirectoryServer
    private let door: DirectoryServer.Door
    private let logger: Logger
    private let onOpen: @Sendable (Endpoint) -> Void
    private let state = Mutex(State())

    private static let pause = Duration.seconds(2)

    /// - Parameters:
    ///   - door: who is let in.
    ///   - onOpen: hears of each address that is opened.
    init(_ server: DirectoryServer, door: DirectoryServer.Door, logger: Logger, onOpen: @escaping @Sendable (Endpoint) -> Void) {
        self.server = server
        self.door = door
        self.logger = logger
        self.onOpen = onOpen
    }

    var endpoints: [String] { state.withLock { $0.open.map(\.endpoint.text) } }

    /// Opens all; an address that no network interface has yet is waited for by ``run(onChange:)``.
    ///
    /// - Throws: `configuration` for a text that is no endpoint, `system` for an address that cannot be listened on.
    func open(_ urls: [String]) async throws(MeshError) {
        for text in urls {
            guard let endpoint = Endpoint(text) else {
                throw MeshError(
                    .configuration, "internal.listen: \"\(text)\" is not an endpoint", hint: "use tcp://HOST:PORT or unix:/PATH")
            }
            do throws(QiError) {
                let listener = try await server.listen(at: endpoint, door: door)
                state.withLock { $0.open.append(listener) }
                onOpen(listener.endpoint)
            } catch {
                guard Self.isNotThereYet(error) else { throw MeshError(.system, error.message, hint: error.hint, cause: error) }
                state.withLock { $0.late.append(endpoint) }
                logger.warning("an address of the directory is not there yet, and is waited for", metadata: ["qi.endpoint": "\(text)"])
            }
        }
    }

    /// Listens at what was not there when it comes; returns at the shutdown, or when nothing is waited for.
    func run(onChange: @Sendable ([String]) -> Void) async {
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            let late = state.withLock { $0.late }
            guard !late.isEmpty else { return }
            // Ends early only by the shutdown, which the loop looks at.
            _ = try? await cancelWhenGracefulShutdown { try await Task.sleep(for: Self.pause) }
            for endpoint in late where !Task.isShuttingDownGracefully { if await retry(endpoint) { onChange(endpoints) } }
        }
    }

    private func retry(_ endpoint: Endpoint) async -> Bool {
        do throws(QiError) {
            let listener = try await server.listen(at: endpoint, door: door)
            state.withLock { state in
                state.open.append(listener)
                state.late.removeAll { $0 == endpoint }
            }
            logger.notice("the directory listens at another address", metadata: ["qi.endpoint": "\(endpoint.text)"])
            onOpen(listener.endpoint)
            return true
        } catch {
            if !Self.isNotThereYet(error) {
                logger.debug("an address of the directory cannot be listened on", metadata: ["error": "\(error)"])
            }
            return false
        }
    }

    /// Stops listening.
    func close() async {
        let open = state.withLock { state in
            defer { state = State() }
            return state.open
        }
        for listener in open { await listener.close() }
    }

    private static func isNotThereYet(_ error: QiError) -> Bool { (error.cause as? IOError)?.errnoCode == EADDRNOTAVAIL }
}

import NIOCore
import NIOPosix
import Synchronization

/// Looks names of proxies up, on threads that may block. At most a few at one time: a name server that does not answer holds a thread for
/// up to half a minute.
final class HostLookUps: Sendable {
    /// Most look-ups at one time.
    static let most = 4

    /// Why there are no addresses.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Threads of its own for the process: what a contact names must not hold up what else may block.
    private static let pool: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        return pool
    }()

    private let lookUp: ServerAddresses.LookUp
    private let running = Mutex(0)

    init(_ lookUp: @escaping ServerAddresses.LookUp) { self.lookUp = lookUp }

    /// The numeric addresses of a name; fails with ``Failure``.
    func addresses(of name: String, on loop: any EventLoop) -> EventLoopFuture<[String]> {
        let isFree = running.withLock { running in
            guard running < HostLookUps.most else { return false }
            running += 1
            return true
        }
        guard isFree else { return loop.makeFailedFuture(Failure(description: "too many names are looked up already")) }
        return HostLookUps.pool.runIfActive(eventLoop: loop) { [self] in
            defer { running.withLock { $0 -= 1 } }
            let answer = lookUp(name)
            guard !answer.addresses.isEmpty else {
                throw Failure(description: "the name \(name) has no address (\(answer.fault ?? "no answer"))")
            }
            return answer.addresses
        }
    }
}

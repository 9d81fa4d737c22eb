import Glibc
import NIOCore
import NIOPosix

/// The addresses that hosts of listeners stand for.
enum SocketNames {
    /// Asking for a name blocks, for as long as the servers for names take: of its own, so that nothing else waits. Runs as long as the
    /// process does.
    private static let threads: NIOThreadPool = {
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        return threads
    }()

    /// The address of `host`: itself when it is one, else the first that its name has.
    ///
    /// - Returns: fails with ``NIOCore/SocketAddressError/UnknownHost`` for a name that is not known now.
    static func address(of host: String, port: UInt16, on eventLoop: any EventLoop) -> EventLoopFuture<SocketAddress> {
        if let address = try? SocketAddress(ipAddress: host, port: Int(port)) { return eventLoop.makeSucceededFuture(address) }
        return threads.runIfActive(eventLoop: eventLoop) { try SocketAddress.makeAddressResolvingHost(host, port: Int(port)) }
    }
}

extension Listener {
    /// Whether who connects to `endpoint` comes to this listener: it has that address already, under the same or another name, or all of
    /// them. The real port counts; port 0 is none.
    package func covers(_ endpoint: Endpoint) async -> Bool {
        guard endpoint.scheme == self.endpoint.scheme, let (host, port) = endpoint.hostAndPort, port != 0,
            let (ownHost, ownPort) = self.endpoint.hostAndPort, port == ownPort
        else { return false }
        if ownHost == host || ownHost == "::" { return true }
        guard let wanted = await address(host, port) else { return false }
        if ownHost == "0.0.0.0" { return wanted.bytes.count == 4 }
        return await address(ownHost, ownPort) == wanted
    }

    /// nil for a name that is not known.
    private func address(_ host: String, _ port: UInt16) async -> IPAddress? {
        let address = try? await SocketNames.address(of: host, port: port, on: eventLoop).get()
        return address?.ipAddress.flatMap { IPAddress($0) }
    }
}

extension Sequence {
    /// In an order in which each can be listened at beside those before it, or is covered by one of them: what stands for all addresses
    /// first.
    package func widestFirst(_ endpoint: (Element) -> Endpoint) -> [Element] {
        var ranks: [[Element]] = [[], [], []]
        for element in self {
            switch endpoint(element).hostAndPort?.host {
            case "::": ranks[0].append(element)
            case "0.0.0.0": ranks[1].append(element)
            default: ranks[2].append(element)
            }
        }
        return ranks.flatMap(\.self)
    }
}

extension Endpoint {
    /// Whether it stands for all addresses of this machine.
    package var isWildcard: Bool { hostAndPort.map { $0.host == "0.0.0.0" || $0.host == "::" } ?? false }

    fileprivate var hostAndPort: (host: String, port: UInt16)? {
        switch kind {
        case .tcp(let host, let port), .tls(let host, let port, _): (host, port)
        case .unix, .relative, .other: nil
        }
    }
}

/// Why an address cannot be listened at.
extension QiError {
    /// Whether it may come by itself: no network interface has it yet, or the name is not known yet.
    package var isOfLateAddress: Bool {
        if cause is SocketAddressError.UnknownHost { return true }
        return (cause as? IOError)?.errnoCode == EADDRNOTAVAIL
    }

    /// Whether another socket has it.
    package var isOfTakenAddress: Bool { (cause as? IOError)?.errnoCode == EADDRINUSE }
}

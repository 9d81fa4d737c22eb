import NIOCore
import NIOPosix

/// One attempt to reach a streamhost: looks up, dials the addresses that are permitted, a little apart from each other, and takes the first
/// whose SOCKS5 handshake ends well.
///
/// `@unchecked Sendable`: the event loop protects all state.
final class SOCKS5Dial: @unchecked Sendable {
    /// How an attempt ends.
    enum Outcome: Sendable {
        /// Its bytes are held (``HeldBytesHandler``).
        case connected(any Channel)
        /// For that reason.
        case failed(String)
    }

    /// What is dialled.
    struct Target: Sendable {
        let host: DialTargets.Host
        let port: UInt16
        /// Name of the bytestream there (``StreamDigest``).
        let digest: String
    }

    private let loop: any EventLoop
    private let target: Target
    private let limits: SOCKS5Limits
    private let permits: @Sendable (String) -> String?
    private let completion: @Sendable (Outcome) -> Void
    private var waiting: [SocketAddress] = []
    private var running: [ObjectIdentifier: any Channel] = [:]
    private var attempts = 0
    private var reasons: [String] = []
    private var timers: [Scheduled<Void>] = []
    private var isOver = false

    private init(
        _ target: Target, on loop: any EventLoop, limits: SOCKS5Limits, permits: @escaping @Sendable (String) -> String?,
        completion: @escaping @Sendable (Outcome) -> Void
    ) {
        self.loop = loop
        self.target = target
        self.limits = limits
        self.permits = permits
        self.completion = completion
    }

    /// Begins an attempt. `completion` is called once, on the loop, unless the attempt is cancelled before.
    static func start(
        _ target: Target, on loop: any EventLoop, limits: SOCKS5Limits, lookUps: HostLookUps,
        permits: @escaping @Sendable (String) -> String?, completion: @escaping @Sendable (Outcome) -> Void
    ) -> SOCKS5Dial {
        let dial = SOCKS5Dial(target, on: loop, limits: limits, permits: permits, completion: completion)
        loop.execute { dial.begin(lookUps) }
        return dial
    }

    /// Ends an attempt without a word, and closes what it has opened; nothing when it has ended. Any thread.
    func cancel() {
        loop.execute { self.end(nil) }
    }

    // MARK: Steps, on the loop

    private func begin(_ lookUps: HostLookUps) {
        guard !isOver else { return }
        timers.append(loop.scheduleTask(in: limits.dial) { self.end(.failed(self.words("no connection in time"))) })
        switch target.host {
        case .refused(let reason): end(.failed(reason))
        case .addresses(let addresses): found(addresses)
        case .name(let name):
            lookUps.addresses(of: name, on: loop).whenComplete { result in
                switch result {
                case .success(let addresses): self.found(addresses.compactMap { NumericAddress.canonical($0) })
                case .failure(let error): self.end(.failed("\(error)"))
                }
            }
        }
    }

    private func found(_ addresses: [String]) {
        guard !isOver else { return }
        let targets = DialTargets(addresses, most: limits.addressesPerDial, permits: permits)
        reasons = targets.refusals
        waiting = targets.addresses.compactMap { NumericAddress.socketAddress($0, port: target.port) }
        guard !waiting.isEmpty else { return end(.failed(targets.refusal ?? "no usable address")) }
        dialNext()
    }

    private func dialNext() {
        guard !isOver, !waiting.isEmpty else { return }
        let address = waiting.removeFirst()
        guard let bootstrap = ClientBootstrap(validatingGroup: loop) else {
            return end(.failed("its event loop has no sockets"))
        }
        attempts += 1
        let done = loop.makePromise(of: Void.self)
        let digest = target.digest
        bootstrap.connectTimeout(limits.dial).channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let machine = try SOCKS5ClientStateMachine(domain: digest, port: 0)
                    try channel.pipeline.syncOperations.addHandler(SOCKS5ClientHandler(machine, done: done))
                    self.opened(channel)
                }
            }
            .connect(to: address).whenComplete { result in
                switch result {
                case .success(let channel): done.futureResult.whenComplete { self.shaken($0.map { channel }, address) }
                case .failure(let error):
                    done.fail(error)
                    self.shaken(.failure(error), address)
                }
            }
        timers.append(loop.scheduleTask(in: limits.addressStagger) { self.dialNext() })
    }

    private func opened(_ channel: any Channel) {
        guard !isOver else { return channel.close(promise: nil) }
        running[ObjectIdentifier(channel)] = channel
    }

    private func shaken(_ result: Result<any Channel, any Error>, _ address: SocketAddress) {
        attempts -= 1
        guard !isOver else { return }
        switch result {
        case .success(let channel):
            running[ObjectIdentifier(channel)] = nil
            end(.connected(channel))
        case .failure(let error):
            reasons.append("\(address.ipAddress ?? "address"): \(ConnectionWords.of(error))")
            if attempts == 0, waiting.isEmpty { end(.failed(words("no connection"))) } else { dialNext() }
        }
    }

    private func words(_ otherwise: String) -> String { reasons.isEmpty ? otherwise : reasons.joined(separator: "; ") }

    /// - Parameter outcome: nil when nobody is to hear.
    private func end(_ outcome: Outcome?) {
        guard !isOver else { return }
        isOver = true
        for timer in timers { timer.cancel() }
        timers = []
        let rest = running.values
        running = [:]
        for channel in rest { channel.close(promise: nil) }
        if let outcome { completion(outcome) }
    }
}

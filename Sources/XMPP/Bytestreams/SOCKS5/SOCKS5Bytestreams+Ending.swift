import Logging
import NIOCore

extension SOCKS5Bytestreams {
    // MARK: The open socket

    /// The negotiation is over, and this socket carries the bytes.
    func open(_ stream: SOCKS5Stream, _ channel: (any Channel)?, _ candidate: SOCKS5Candidate) {
        let number = stream.number
        guard let channel else {
            let error = XMPPError(.noPath, "the connection to \(stream.peer) closed before it was used")
            owner?.failed(number, error, tell: JingleReason("connectivity-error"))
            return
        }
        let report = report(of: stream, channel, candidate)
        // From here on the end of the negotiation leaves it alone.
        stream.joined = nil
        stream.channel = channel
        stream.endNegotiation()
        guard let plan = owner?.opened(number) else { return channel.close(promise: nil) }
        logger.debug("bytestream open", metadata: metadata(of: stream))
        channel.closeFuture.whenComplete { [weak self] _ in self?.enqueue(number) { $0.channelClosed($1) } }
        let broken: @Sendable (XMPPError) -> Void = { [weak self] error in
            let reason = JingleReason("failed-application", text: error.message)
            self?.enqueue(number) { bytestreams, _ in bytestreams.owner?.failed(number, error, tell: reason) }
        }
        channel.eventLoop.execute { SOCKS5Bytestreams.install(plan, on: channel, report, broken: broken) }
    }

    /// Gives a socket to the application, on its event loop.
    private static func install(
        _ plan: ChannelPlan, on channel: any Channel, _ report: BytestreamReport, broken: @escaping @Sendable (XMPPError) -> Void
    ) {
        plan.initializer(channel, report).whenComplete { result in
            switch result.flatMap({ Result { try HeldBytesHandler.release(channel) } }) {
            case .success: plan.completion(.success(channel))
            case .failure(let error):
                let failure = XMPPError(.streamClosed, "the channel's handlers could not be installed", cause: error)
                broken(failure)
                channel.close(promise: nil)
                plan.completion(.failure(failure))
            }
        }
    }

    private func report(of stream: SOCKS5Stream, _ channel: any Channel, _ candidate: SOCKS5Candidate) -> BytestreamReport {
        var report = stream.report
        report.kind = candidate.kind == .proxy ? .proxy : .direct
        report.localAddress = SOCKS5Bytestreams.text(channel.localAddress)
        report.remoteAddress = SOCKS5Bytestreams.text(channel.remoteAddress)
        report.proxy = candidate.kind == .proxy ? candidate.jid : nil
        return report
    }

    /// `192.0.2.7:4711`, `[2001:db8::7]:4711`.
    private static func text(_ address: SocketAddress?) -> String? {
        guard let ip = address?.ipAddress, let port = address?.port else { return nil }
        return ip.utf8.contains(UInt8(ascii: ":")) ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    }

    /// The socket has closed, whichever side closed it.
    private func channelClosed(_ stream: SOCKS5Stream) {
        if stream.isDetached {
            streams[stream.number] = nil
        } else {
            owner?.finished(stream.number)
        }
    }

    // MARK: The session ends

    func peerEnded(_ number: UInt64) -> Bool {
        guard let stream = streams[number], stream.channel != nil else { return false }
        // Its last bytes travel another way than its goodbye, and end with the socket's own.
        stream.lingerEnd = clock() + limits.linger
        return true
    }

    func close(_ number: UInt64, isPeerGone: Bool) {
        guard let stream = streams.removeValue(forKey: number) else { return }
        stream.endNegotiation()
        stream.channel?.close(promise: nil)
    }

    func lose(_ number: UInt64, _ error: XMPPError) {
        guard let stream = streams.removeValue(forKey: number) else { return }
        stream.endNegotiation()
        fail(stream, error)
    }

    private func fail(_ stream: SOCKS5Stream, _ error: XMPPError) {
        guard let channel = stream.channel else { return }
        channel.eventLoop.execute {
            guard channel.isActive else { return }
            channel.pipeline.fireErrorCaught(error)
            channel.close(promise: nil)
        }
    }

    // MARK: The connection

    func isIndependent(_ number: UInt64) -> Bool { streams[number]?.channel != nil }

    func detach(_ number: UInt64) -> Bool {
        guard let stream = streams[number], stream.channel != nil else { return false }
        // Sessions that come with the next connection are counted without these.
        // What we opened does not take the place of what contacts did, nor the other way round.
        let others = streams.values.filter { $0.isDetached && $0.isInitiator == stream.isInitiator }
        guard others.count(where: { $0.peer.bare == stream.peer.bare }) < limits.detachedPerContact else { return false }
        if others.count >= limits.detached {
            guard let other = displaceable(for: stream.peer, among: others) else { return false }
            let text = "all \(limits.detached) places for sockets without a session are taken, and \(other.peer.bare) held the most"
            lose(other.number, XMPPError(.limitExceeded, text))
        }
        stream.isDetached = true
        return true
    }

    /// Sockets whose sessions have ended with an earlier connection go with the contact.
    func contactEnded(_ account: JID, _ reason: String) {
        for stream in Array(streams.values) where stream.isDetached && stream.peer.bare == account {
            lose(stream.number, XMPPError(.streamClosed, reason))
        }
    }

    /// All sessions have ended before this. Open sockets stay, unless the client is stopped.
    func disconnected(_ error: XMPPError) {
        discovery.disconnected()
        guard error.code == .cancelled else { return }
        for stream in Array(streams.values) { lose(stream.number, error) }
    }

    func tick() {
        if handlers.socks5?.allowsProxy == true { discovery.begin() }
        discovery.tick()
        let now = clock()
        for stream in streams.values {
            guard let end = stream.lingerEnd, end <= now else { continue }
            stream.lingerEnd = nil
            stream.channel?.close(promise: nil)
        }
    }
}

import NIOCore
import QiWire

/// A directory beside this one, NAOqi's or another of libqi's, whose services are this one's too.
public struct UpstreamDirectory: Sendable {
    /// Where it is: `tcp://host:port`, `tcps://host:port`.
    public var endpoint: Endpoint
    /// What errors, logs and `status` call it.
    public var name = "NAOqi's directory"
    /// Who we say we are, where it asks. Its services' hosts are told too, if they are dialled by TLS.
    public var credentials: Credentials?
    /// What it has to show at `tcps`.
    public var tls = TLSOptions()
    /// How long a service in use may take to come back before its users are told that it is gone.
    public var returnTime = Duration.seconds(60)
    /// Which services that are registered here are found there; nil: those of programs on the inside.
    public var published: [NameGlob]?
    /// Who may come in where those are reached; nil: every peer that gets there.
    public var door: DirectoryServer.Door?

    public init(endpoint: Endpoint) { self.endpoint = endpoint }

    /// What is registered from outside is found there only where its name is given.
    func isPublished(_ entry: DirectoryTable.Entry) -> Bool {
        guard let published else { return !entry.holder.zone.isOutside }
        return published.contains { $0.matches(entry.info.name) }
    }
}

/// How a directory beside ours stands.
public struct UpstreamStatus: Sendable {
    public let endpoint: Endpoint
    /// Why it cannot be used now; nil while it can.
    public let trouble: QiError?
    /// Its services that are shown here, and how many of those in use are away and awaited.
    public let services: [String]
    public let servicesAway: Int
    /// What is registered here and found there.
    public let published: [String]
    /// What should be found there and is not, with the reason.
    public let unpublished: [String: QiError]
}

extension DirectoryServer {
    /// Makes the services of `upstream` this directory's. Returns at once; it may come later, and go and come back. To be called once, not
    /// on a member board.
    ///
    /// - Throws: `.invalid` where its credentials could be read on the way, or what it has to show cannot be read.
    public func follow(_ upstream: UpstreamDirectory) async throws(QiError) {
        let (directory, loop, machineID) = (self.directory, self.loop, self.machineID)
        let entrance = try DirectoryEntrance(to: upstream.endpoint, tls: upstream.tls, credentials: upstream.credentials)
        try await loop.run { (bus) async throws(QiError) in
            let link = GatewayUpstream(
                loop: loop, endpoint: upstream.endpoint, named: upstream.name, entrance: entrance, machineID: machineID,
                limits: directory.value.limits, returnTime: TimeAmount(upstream.returnTime), presented: directory.value)
            let publisher = UpstreamPublisher(
                loop: loop, directory: directory.value, upstream: link.follower, gate: upstream.door?.gate,
                isMeant: { upstream.isPublished($0) })
            link.publisher = publisher
            directory.value.upstream = link
            for signal in [WellKnownActions.serviceAdded, WellKnownActions.serviceRemoved] {
                _ = directory.value.object.addSink(to: signal) { [weak publisher] _, _, _, _ in publisher?.changed() }
            }
            link.begin()
        }
    }

    /// Follows that directory no more: what was registered there goes. For the end of a node.
    public func stopFollowing() async {
        let directory = self.directory
        await loop.perform { _ in
            (directory.value.upstream as? GatewayUpstream)?.end(QiError(.disconnected, "this node is stopping"))
        }
    }

    /// How the directory beside this one stands; nil where there is none.
    public func upstreamStatus() async throws(QiError) -> UpstreamStatus? {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) -> UpstreamStatus? in
            guard let upstream = directory.value.upstream as? GatewayUpstream else { return nil }
            let standing = upstream.publisher?.standing ?? (published: [], refused: [:])
            return UpstreamStatus(
                endpoint: upstream.endpoint, trouble: upstream.follower.away,
                services: directory.value.table.entries.values.filter { $0.owner == .upstream }.map(\.info.name).sorted(),
                servicesAway: upstream.servicesAway, published: standing.published, unpublished: standing.refused)
        }
    }
}

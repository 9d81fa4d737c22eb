import QiMessaging
import XMPP

/// Which addresses of this device are offered to contacts, and which of theirs are dialled: a contact must not make us knock on doors for
/// it, neither on this machine nor on the robot's own network.
struct PathNetworks: Sendable {
    private let paths: MeshConfiguration.Paths
    /// The kinds that are on, best first.
    var order: [MeshConfiguration.Paths.Kind] { paths.order }
    /// The longest argument or result that takes its time on an in-band path, in bytes.
    var inBandMax: Int { paths.inBandMax }
    /// The interfaces of the robot's own network.
    private let internalNames: [String]

    init(_ configuration: MeshConfiguration) {
        paths = configuration.paths
        internalNames = (configuration.internal.interfaces ?? []).filter { $0 != "lo" }
    }

    /// What SOCKS5 bytestreams may do.
    ///
    /// - Parameter kind: the one kind that an opener wants; nil: all that are on.
    func options(for kind: MeshConfiguration.Paths.Kind? = nil) -> SOCKS5Options? {
        let options = SOCKS5Options(
            allowsDirect: paths.order.contains(.direct) && (kind ?? .direct) == .direct,
            allowsProxy: paths.order.contains(.proxy) && (kind ?? .proxy) == .proxy,
            addresses: { self.offered(Self.current) }, permits: { self.refusal(of: $0, Self.current) })
        return options.isOn ? options : nil
    }

    /// What the opener of a path wants of a SOCKS5 bytestream, by the kind that it names; nil when it names none, or none that is known.
    ///
    /// - Throws: `.unsupported` when that kind is off here.
    func wanted(by offer: BytestreamOffer) throws(QiError) -> BytestreamTransport? {
        guard offer.transport == .socks5, let kind = MeshConfiguration.Paths.Kind(wantedBy: offer.application) else { return nil }
        guard let options = options(for: kind) else { throw QiError(.unsupported, "\(kind.rawValue) is off here (paths.order)") }
        return .socks5(options)
    }

    /// The machine's addresses now; none when they cannot be listed, and then nothing is offered or dialled.
    private static var current: InternalInterfaces? {
        // Why is of no use here: the next attempt looks again.
        try? InternalInterfaces.current()
    }

    /// Addresses to offer: IPv4 first, then global IPv6, then link-local ones with their scope.
    func offered(_ machine: InternalInterfaces?) -> [String] {
        let usable = (machine?.addresses ?? []).filter { own in
            if own.address.isLoopback { return false }
            let name = Self.interface(own.interface)
            return paths.interfaces?.contains(name) ?? !internalNames.contains(name)
        }
        func rank(_ address: IPAddress) -> Int { address.bytes.count == 4 ? 0 : address.isLinkLocal ? 2 : 1 }
        return usable.sorted { rank($0.address) < rank($1.address) }.map { own in
            own.address.isLinkLocal && own.address.bytes.count == 16 ? "\(own.address)%\(own.interface)" : "\(own.address)"
        }
    }

    /// An interface without the label that an IPv4 address may have there (`eth0:1`).
    private static func interface(_ name: String) -> String { String(name.prefix { $0 != ":" }) }

    /// Why an address of a contact, or of a proxy, is not dialled; nil when it may be.
    func refusal(of text: String, _ machine: InternalInterfaces?) -> String? {
        guard let machine else { return "this machine's own addresses are not known" }
        guard let address = IPAddress(text) else {
            return "it is no address"
        }
        if address.isLoopback || address.isUnspecified { return "it is inside this machine" }
        if address.isMulticast { return "it is no address of one machine" }
        if machine.addresses.contains(where: { $0.address == address }) { return "it is this machine's own" }
        if address.isCloudMetadata { return "such addresses serve secrets of a cloud machine" }
        if address.holdsIPv4 { return "it stands for an IPv4 address elsewhere, which has to be named itself" }
        if !paths.reachesInternal, isInternal(address, text, machine) {
            return "it is on the robot's own network (internal.interfaces); to allow it: paths.internal: true"
        }
        return nil
    }

    /// Whether an address is on a network of the internal interfaces: a link-local one by its scope, for all such networks are called alike.
    private func isInternal(_ address: IPAddress, _ text: String, _ machine: InternalInterfaces) -> Bool {
        if address.isLinkLocal, address.bytes.count == 16, let scope = text.split(separator: "%").dropFirst().first {
            return internalNames.contains(String(scope))
        }
        return machine.addresses.contains { internalNames.contains(Self.interface($0.interface)) && $0.network.contains(address) }
    }
}

import NIOCore
import QiMessaging

/// The network interfaces of this machine, and what `internal.interfaces` makes of them: where the robot's own bus may be listened at,
/// and who is on its network.
struct InternalInterfaces: Equatable {
    /// One address of an interface. An interface may have several.
    struct Address: Equatable {
        var interface: String
        var address: IPAddress
        var network: IPNetwork
    }

    let addresses: [Address]

    init(_ addresses: [Address]) { self.addresses = addresses }

    /// As they are now.
    static func current() throws(MeshError) -> InternalInterfaces {
        do {
            return InternalInterfaces(
                try System.enumerateDevices().compactMap { device in
                    guard let address = device.address?.ipAddress.flatMap({ IPAddress($0) }) else { return nil }
                    let bits = device.netmask?.ipAddress.flatMap { IPAddress($0) }?.prefixLength ?? address.bytes.count * 8
                    guard let network = IPNetwork(address, prefixLength: bits) else { return nil }
                    return Address(interface: device.name, address: address, network: network)
                })
        } catch {
            throw MeshError(.system, "the network interfaces of this machine cannot be listed", cause: error)
        }
    }

    /// The interfaces called `names`, as far as they are there.
    func named(_ names: [String]) -> Named { Named(names: names, addresses: addresses.filter { names.contains($0.interface) }) }

    /// Some interfaces of this machine by name, of which some may not be there, or have no address yet.
    struct Named {
        let names: [String]
        let addresses: [Address]

        /// Who is on these interfaces' networks.
        var networks: [IPNetwork] { addresses.map(\.network) }

        /// The URLs to listen at for `listen`, none of them elsewhere: a wildcard becomes one for each address that there is.
        ///
        /// - Returns: `missing` is what more there would be to listen at, in words: `the interface eth1`.
        /// - Throws: `configuration` for a host name, which may come to mean an address elsewhere, and for a loopback address that none
        ///   of the interfaces has.
        func listeners(_ listen: [String]) throws(MeshError) -> (urls: [String], missing: [String]) {
            var urls: [String] = []
            let present = Set(addresses.map(\.interface))
            var missing = names.filter { !present.contains($0) }.map { "the interface \($0)" }
            for text in listen {
                guard case .tcp(let host, let port)? = Endpoint(text)?.kind else {
                    urls.append(text)
                    continue
                }
                let usable = try addresses(host, text)
                urls += usable.map { "tcp://\($0.address.bytes.count == 16 ? "[\($0.address)]" : "\($0.address)"):\(port)" }
                if Self.isWildcard(host) {
                    let served = Set(usable.map(\.interface))
                    let kind = host == "::" ? "an address" : "an IPv4 address"
                    missing += names.filter { present.contains($0) && !served.contains($0) }.map { "\(kind) of \($0), for \(text)" }
                } else if usable.isEmpty {
                    missing.append("\(text) at \(names.joined(separator: ", "))")
                }
            }
            return (urls, missing)
        }

        private static func isWildcard(_ host: String) -> Bool { host == "0.0.0.0" || host == "::" }

        private func addresses(_ host: String, _ text: String) throws(MeshError) -> [Address] {
            switch host {
            case "0.0.0.0": return addresses.filter { $0.address.bytes.count == 4 }
            // Link-local addresses mean nothing without their interface.
            case "::":
                return addresses.filter { own in
                    let address = own.address
                    return address.bytes.count == 4 || !address.isLocal || address.isLoopback || address.bytes[0] & 0xFE == 0xFC
                }
            default: break
            }
            guard let address = IPAddress(host == "localhost" ? "127.0.0.1" : host) else {
                throw MeshError(
                    .configuration, "internal.listen: \(text) must name an address, since internal.interfaces says where it has to be")
            }
            let own = addresses.first { $0.address == address }
            // One that is not there may come, but not that of another kind of interface.
            if own == nil, address.isLoopback, Set(addresses.map(\.interface)).isSuperset(of: names) {
                throw MeshError(
                    .configuration, "internal.listen: \(text) is at no address of \(names.joined(separator: ", ")) (internal.interfaces)",
                    hint: "add the interface lo: internal.interfaces: [\((names + ["lo"]).joined(separator: ", "))]")
            }
            return own.map { [$0] } ?? []
        }
    }
}

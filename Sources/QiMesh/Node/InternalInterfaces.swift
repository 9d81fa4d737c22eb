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

    /// The addresses of the interfaces called `names`.
    ///
    /// - Throws: `configuration` for one that is not there, or has no address.
    func named(_ names: [String]) throws(MeshError) -> InternalInterfaces {
        let known = Set(addresses.map(\.interface))
        if let missing = names.first(where: { !known.contains($0) }) {
            throw MeshError(
                .configuration, "internal.interfaces: \(missing) is not there, or has no address",
                hint: "there are \(known.sorted().joined(separator: ", "))")
        }
        return InternalInterfaces(addresses.filter { names.contains($0.interface) })
    }

    /// Who is on these interfaces' networks.
    var networks: [IPNetwork] { addresses.map(\.network) }

    /// The URLs to listen at for `listen`, none of them elsewhere: a wildcard becomes one for each address.
    ///
    /// - Throws: `configuration` for an address of another interface, and for a host name, which may come to mean one.
    func listeners(_ listen: [String]) throws(MeshError) -> [String] {
        var urls: [String] = []
        for text in listen {
            guard case .tcp(let host, let port)? = Endpoint(text)?.kind else {
                urls.append(text)
                continue
            }
            urls += try hosts(host, text).map { "tcp://\($0.bytes.count == 16 ? "[\($0)]" : "\($0)"):\(port)" }
        }
        return urls
    }

    private func hosts(_ host: String, _ text: String) throws(MeshError) -> [IPAddress] {
        let own = addresses.map(\.address)
        switch host {
        case "0.0.0.0": return own.filter { $0.bytes.count == 4 }
        // Link-local addresses mean nothing without their interface.
        case "::": return own.filter { $0.bytes.count == 4 || !$0.isLocal || $0.isLoopback || $0.bytes[0] & 0xFE == 0xFC }
        default: break
        }
        guard let address = IPAddress(host == "localhost" ? "127.0.0.1" : host) else {
            throw MeshError(
                .configuration, "internal.listen: \(text) must name an address, since internal.interfaces says where it has to be")
        }
        guard own.contains(address) else {
            let names = Set(addresses.map(\.interface)).sorted().joined(separator: ", ")
            throw MeshError(.configuration, "internal.listen: \(text) is at no address of \(names) (internal.interfaces)")
        }
        return [address]
    }
}

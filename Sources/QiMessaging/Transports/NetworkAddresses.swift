import NIOCore

/// The addresses of this machine under which others may reach a listener at a wildcard address.
enum NetworkAddresses {
    /// As they are now, loopback first, IPv4 before IPv6. Link-local IPv6 is left out: it means nothing without an interface.
    static func current() -> [String] {
        let devices = (try? System.enumerateDevices()) ?? []
        return order(devices.compactMap { $0.address?.ipAddress })
    }

    static func order(_ addresses: [String]) -> [String] {
        func rank(_ address: String) -> Int {
            (Endpoint.isLoopback(host: address) ? 0 : 2) + (address.contains(":") ? 1 : 0)
        }
        return Set(addresses).filter { !$0.lowercased().hasPrefix("fe80:") && !$0.contains("%") }
            .sorted { (rank($0), $0) < (rank($1), $1) }
    }
}

extension Endpoint {
    /// Whether `host` is an address of this machine as its network interfaces are now. Names are not looked up.
    package static func isOfThisMachine(host: String) -> Bool {
        guard let address = IPAddress(host) else { return false }
        return NetworkAddresses.current().contains { IPAddress($0) == address }
    }
}

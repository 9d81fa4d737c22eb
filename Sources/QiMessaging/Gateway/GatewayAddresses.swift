import QiWire

/// Which addresses a gateway tells those outside: the one that each of them used, or those it was told to advertise. Pure.
///
/// Behind a NAT or a container's bridge the address that a client used arrives as another one: then what is advertised has to be
/// said. The relative `qi:ServiceDirectory` always comes first where the client understands it, so that even one whose address is
/// not among them stays on its one connection (wire reference §19.1).
struct GatewayAddresses {
    /// In the order of preference; may change while clients are connected.
    var advertised: [Endpoint] = []

    /// What a client is told that came in at `used`.
    ///
    /// - Parameter isRelative: whether it understands `qi:ServiceDirectory`; one that does not knows its connection by `used` alone.
    func endpoints(used: String?, isRelative: Bool) -> [String] {
        let advertised = advertised.map(\.text)
        guard let used else { return advertised }
        if advertised.isEmpty || advertised.contains(used) { return [used] }
        // Nobody is led from TLS to an address without.
        let scheme = used.prefix { $0 != ":" }
        let alike = advertised.filter { $0.prefix { $0 != ":" } == scheme }
        return (isRelative ? [] : [used]) + (alike.isEmpty ? advertised : alike)
    }
}

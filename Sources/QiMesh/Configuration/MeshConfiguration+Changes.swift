extension MeshConfiguration {
    /// The settings in which another configuration differs that a running node does not take over, by section. It takes over
    /// `policy`, and of `gateway`: `advertise`, `certificate`, `key` and `trust`.
    public func settingsForRestart(against other: MeshConfiguration) -> [String] {
        var names: [String] = []
        if device != other.device { names.append("device") }
        if `internal` != other.internal { names.append("internal") }
        names += Self.gatewayNames(gateway, other.gateway)
        if xmpp != other.xmpp { names.append("xmpp") }
        if limits != other.limits { names.append("limits") }
        if log != other.log { names.append("log") }
        return names
    }

    private static func gatewayNames(_ one: Gateway?, _ other: Gateway?) -> [String] {
        guard let one, var other else { return one == other ? [] : ["gateway"] }
        other.advertise = one.advertise
        (other.certificate, other.key, other.trust) = (one.certificate, one.key, one.trust)
        return one == other ? [] : ["gateway"]
    }
}

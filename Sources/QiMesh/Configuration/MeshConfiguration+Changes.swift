extension MeshConfiguration {
    /// The settings in which another configuration differs that a running node does not take over: by section. What is taken over: `gateway.advertise`;
    /// the policy file is read again by itself.
    public func settingsForRestart(against other: MeshConfiguration) -> [String] {
        var names: [String] = []
        if device != other.device { names.append("device") }
        if `internal` != other.internal { names.append("internal") }
        names += Self.gatewayNames(gateway, other.gateway)
        if xmpp != other.xmpp { names.append("xmpp") }
        if policy != other.policy { names.append("policy") }
        if limits != other.limits { names.append("limits") }
        if log != other.log { names.append("log") }
        return names
    }

    private static func gatewayNames(_ one: Gateway?, _ other: Gateway?) -> [String] {
        guard let one, var other else { return one == other ? [] : ["gateway"] }
        other.advertise = one.advertise
        return one == other ? [] : ["gateway"]
    }
}

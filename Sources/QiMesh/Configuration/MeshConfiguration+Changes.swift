extension MeshConfiguration {
    /// The settings in which another configuration differs that a running node does not take over, by section. It takes over
    /// `device.name`, `device.model`, `xmpp`, `policy`, `groups`, and of `gateway`: `advertise`, `certificate`, `key` and `trust`.
    public func settingsForRestart(against other: MeshConfiguration) -> [String] {
        var names: [String] = []
        if other.device != device.taking(other.device) { names.append("device") }
        if `internal` != other.internal { names.append("internal") }
        names += Self.gatewayNames(gateway, other.gateway)
        if paths != other.paths { names.append("paths") }
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

    /// This configuration with what a running node takes over from another one.
    func taking(_ other: MeshConfiguration) -> MeshConfiguration {
        var result = self
        result.device = device.taking(other.device)
        result.xmpp = other.xmpp
        result.policy = other.policy
        result.groups = other.groups
        if let gateway = other.gateway {
            result.gateway?.advertise = gateway.advertise
            result.gateway?.certificate = gateway.certificate
            result.gateway?.key = gateway.key
            result.gateway?.trust = gateway.trust
        }
        return result
    }
}

extension MeshConfiguration.Device {
    /// This device with the name and model of another: what may change while a node runs.
    fileprivate func taking(_ other: Self) -> Self {
        var result = self
        result.name = other.name
        result.model = other.model
        return result
    }
}

import QiMessaging

extension PolicyFile {
    /// Reads the policy file of a configuration.
    ///
    /// - Throws: as ``load(_:)``, and `configuration` for a rule that could never hold there: a NAOqi directory takes no services from
    ///   outside, because it gives its clients addresses to dial, and behind the gateway there are none.
    public static func load(_ path: String, for configuration: MeshConfiguration) throws(MeshError) -> PolicyFile {
        let file = try load(path)
        guard configuration.gateway?.naoqi != nil else { return file }
        for (index, rule) in file.policy.rules.enumerated() where !rule.register.isEmpty {
            guard let who = rule.who.first(where: \.comesThroughTheGateway) else { continue }
            let place = rule.line.map { "\(path):\($0): " } ?? "\(path): "
            throw MeshError(
                .configuration,
                "\(place)rule \(index + 1) lets \(who) host services, and the directory that the gateway presents is NAOqi's "
                    + "(gateway.naoqi), which takes none from outside",
                hint: "take register out of rule \(index + 1), or let it name devices only, as NAME@DOMAIN")
        }
        return file
    }
}

extension Subject {
    /// Whether it may be a client of the gateway.
    fileprivate var comesThroughTheGateway: Bool {
        switch self {
        case .device, .zone(.internal): false
        case .group(_, let members): members.contains(where: \.comesThroughTheGateway)
        case .everyone, .zone, .certificate, .user, .app, .host: true
        }
    }
}

import QiMessaging

/// Where the robot's own bus is listened at, and for whom.
struct InternalListening {
    let urls: [String]
    /// Whose peers are let in, beside those on this machine; `nil`: everybody's.
    let networks: [IPNetwork]?

    /// - Parameter listen: the URLs as configured.
    /// - Throws: `configuration` when they are not on the configured interfaces.
    init(_ configuration: MeshConfiguration.Internal, _ listen: [String]) throws(MeshError) {
        guard let names = configuration.interfaces else {
            urls = listen
            networks = nil
            return
        }
        let interfaces = try InternalInterfaces.current().named(names)
        urls = try interfaces.listeners(listen)
        networks = interfaces.networks
    }
}

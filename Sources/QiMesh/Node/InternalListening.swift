import QiMessaging

/// Where the robot's own bus is listened at, and for whom.
struct InternalListening {
    let urls: [String]
    /// Which addresses are let in, beside those of this machine; `nil`: all.
    let networks: [IPNetwork]?
    /// Which users of this machine are let in by TCP; `nil`: all.
    let users: LocalUsers?

    /// - Parameter listen: the URLs as configured.
    /// - Throws: `configuration` when they are not on the configured interfaces, and for a user that is not there.
    init(_ configuration: MeshConfiguration.Internal, _ listen: [String]) throws(MeshError) {
        users = try configuration.users.resolved()
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

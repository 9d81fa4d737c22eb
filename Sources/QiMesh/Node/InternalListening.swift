import QiMessaging

/// Where the robot's own bus is to be listened at, and for whom, as the network interfaces of this machine are now.
struct InternalListening: Equatable, Sendable {
    var urls: [String]
    /// Which addresses are let in, beside those of this machine; `nil`: all.
    var networks: [IPNetwork]?
    /// What the configuration names and this machine does not have, in words: `the interface eth1`.
    var missing: [String] = []

    /// - Parameters:
    ///   - names: `internal.interfaces`; nil: all that there are and will be.
    ///   - listen: the URLs as configured.
    ///   - interfaces: what this machine has; asked only where `names` are given.
    /// - Throws: `configuration` where the two settings can never be met together, `system` when the interfaces cannot be listed.
    init(
        _ names: [String]?, _ listen: [String],
        interfaces: () throws(MeshError) -> InternalInterfaces = { () throws(MeshError) in try .current() }
    ) throws(MeshError) {
        guard let names else {
            urls = listen
            return
        }
        let named = try interfaces().named(names)
        (urls, missing) = try named.listeners(listen)
        networks = named.networks
    }
}

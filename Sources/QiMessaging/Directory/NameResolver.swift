import QiWire

/// Finds services that this directory does not list: those behind a gateway. Confined to the bus loop.
protocol NameResolver: AnyObject {
    /// Whether `name` is of the form this resolver is asked for.
    func handles(_ name: String) -> Bool
    /// Finds `name`. `completion` runs exactly once, within 30 s.
    func resolve(_ name: String, completion: @escaping (Result<ResolvedService, QiError>) -> Void)
    /// No connection uses `name` any more.
    func released(_ name: String)
    /// Whether those may use what it finds who came in by a door to the outside.
    var isForOutside: Bool { get }
    /// `name` was not found, and its asker may wait for it: ``ServiceDirectory/arrived(_:)`` is called when it is there, once.
    ///
    /// - Returns: false when every listener is told of what comes anyway.
    func expect(_ name: String) -> Bool
    /// No connection waits for `name` any more.
    func stopExpecting(_ name: String)
    /// A failure of ``resolve(_:completion:)`` in words for a peer outside.
    func concealing(_ error: QiError, _ name: String) -> QiError
    /// What services() lists beside the directory's own; `completion` runs exactly once.
    func list(completion: @escaping (Result<[ServiceInfo], QiError>) -> Void)
}

extension NameResolver {
    /// No transit: what we ourselves reach through a tunnel does not exist for another device.
    var isForOutside: Bool { false }
    func expect(_ name: String) -> Bool { false }
    func stopExpecting(_ name: String) {}
    func concealing(_ error: QiError, _ name: String) -> QiError { error }
}

/// The services of a directory beside this one, which this one lists as well. Confined to the bus loop.
protocol UpstreamServices: NameResolver {
    /// What that directory lists, as far as is known.
    var listed: [ServiceInfo] { get }
    func listed(_ name: String) -> ServiceInfo?
    /// Another policy is in force here.
    func policyChanged()
    /// A service that is registered here has other members than before under the name and the id that it had.
    func renewed(_ name: String)
}

/// A service behind a gateway: how to reach it, and what its own directory says of it.
struct ResolvedService {
    /// What calls are handed to; its members are known.
    let object: any ObjectReceiver
    let info: ServiceInfo
}

/// A service that only some may know of; it is in no listing (the node's control interface, the names of boards).
struct HiddenService {
    let name: String
    let object: LocalObject
    let mayUse: (Connection) -> Bool
}

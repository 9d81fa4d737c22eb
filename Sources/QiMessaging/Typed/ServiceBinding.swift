/// A typed implementation as an object that others can use. `@Service` on a protocol makes one, `NameBinding`, for every
/// implementation of the protocol; written by hand it is a function from an implementation to an ``ObjectBuilder``.
public protocol ServiceBinding: Sendable {
    /// The name under which the service is registered unless another is given.
    static var serviceName: String { get }

    /// The object: its members, each of them calling the implementation.
    func makeObject() -> ObjectBuilder
}

/// A typed proxy. `@Service` on a protocol makes one, `NameProxy`.
public protocol ServiceProxy: Sendable {
    /// The name under which the service is looked up unless another is given.
    static var serviceName: String { get }

    /// The untyped proxy beneath.
    var object: ObjectProxy { get }

    /// A typed view of an object. Members that it lacks fail when they are used, with an error that names them.
    init(_ object: ObjectProxy)
}

extension ObjectProxy {
    /// An object made of a typed implementation, to be passed to others as a value.
    public init(_ binding: some ServiceBinding) { self.init(binding.makeObject()) }
}

extension Session {
    /// Hosts a typed implementation; it listens first, if it does not yet.
    ///
    /// - Parameter name: nil is the binding's own.
    /// - Throws: as ``register(_:as:)`` of an `ObjectBuilder`.
    @discardableResult
    public func register<Binding: ServiceBinding>(_ binding: Binding, as name: String? = nil) async throws(QiError) -> HostedObject {
        try await register(binding.makeObject(), as: name ?? Binding.serviceName)
    }

    /// A typed proxy of a service.
    ///
    /// - Parameter name: nil is the proxy's own; `DEVICE/Service` is one behind a gateway.
    /// - Throws: as ``service(_:deadline:)``.
    public func service<Proxy: ServiceProxy>(
        _ type: Proxy.Type, named name: String? = nil, deadline: Duration? = nil
    ) async throws(QiError) -> Proxy {
        Proxy(try await service(name ?? Proxy.serviceName, deadline: deadline))
    }
}

extension DirectoryServer {
    /// Registers a typed implementation of this process, ready at once.
    @discardableResult
    public func register<Binding: ServiceBinding>(_ binding: Binding, as name: String? = nil) async throws(QiError) -> HostedObject {
        try await register(binding.makeObject(), as: name ?? Binding.serviceName)
    }
}

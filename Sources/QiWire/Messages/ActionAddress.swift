/// What a message is about: an action of an object of a service (reference §5).
public struct ActionAddress: Hashable, Sendable, CustomStringConvertible {
    /// The service; 0 is the connection itself, 1 the service directory.
    public var service: UInt32
    /// The object; 1 is a service's main object, 0 none.
    public var object: UInt32
    /// The method, signal or property.
    public var action: UInt32

    /// Creates an address.
    @inlinable
    public init(service: UInt32, object: UInt32, action: UInt32) {
        self.service = service
        self.object = object
        self.action = action
    }

    /// Creates the address of an action of an object.
    @inlinable
    public init(_ object: ObjectAddress, action: UInt32) {
        self.init(service: object.service, object: object.object, action: action)
    }

    /// `authenticate` of the connection itself, 0.0.8.
    @inlinable public static var authenticate: ActionAddress { ActionAddress(service: 0, object: 0, action: WellKnownActions.authenticate) }

    /// The object part.
    @inlinable
    public var target: ObjectAddress { ObjectAddress(service: service, object: object) }

    /// `service.object.action`, as libqi writes it.
    public var description: String { "\(service).\(object).\(action)" }
}

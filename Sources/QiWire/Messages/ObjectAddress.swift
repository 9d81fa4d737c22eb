/// An object of a service, as a connection numbers them (reference §5).
public struct ObjectAddress: Hashable, Sendable, CustomStringConvertible {
    /// The service.
    public var service: UInt32
    /// The object.
    public var object: UInt32

    /// Creates an address.
    @inlinable
    public init(service: UInt32, object: UInt32) {
        self.service = service
        self.object = object
    }

    /// The connection itself, 0.0.
    @inlinable public static var connection: ObjectAddress { ObjectAddress(service: 0, object: 0) }
    /// The service directory's main object, 1.1.
    @inlinable public static var serviceDirectory: ObjectAddress { ObjectAddress(service: 1, object: 1) }

    /// The main object of a service.
    @inlinable public static func main(ofService service: UInt32) -> ObjectAddress { ObjectAddress(service: service, object: 1) }

    /// `service.object`.
    public var description: String { "\(service).\(object)" }
}

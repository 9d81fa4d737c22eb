import NIOCore
import QiWire

/// What one incoming message asks for, in the words of a policy.
enum AccessRequest {
    /// To do something with a member.
    case member(Access, uid: UInt32, name: String)
    /// To learn what the object is, which everybody may who may use any of it.
    case description
    /// Something that the object does not have.
    case nothing
    /// To give up what it has of the object.
    case release

    /// The longest arguments, in bytes, of generic members that take numbers and names. Those of `registerEventWithSignature` and of
    /// `setProperty` may be longer: of the one a signature, of the other a value, which is not looked at.
    private static let maximumArguments = 1024

    /// - Throws: when the arguments of a generic member cannot be read; such a call must go nowhere.
    init(_ call: IncomingCall, _ members: MemberTable) throws(WireError) {
        let action = call.address.action
        try Self.checkLength(call)
        switch action {
        case WellKnownActions.registerEvent, WellKnownActions.registerEventWithSignature:
            guard let uid = try Self.argument(1, of: call)?.asUInt32, let signal = members.signal(uid) else {
                self = .nothing
                return
            }
            self = .member(.subscribe, uid: uid, name: signal.meta.name)
        case WellKnownActions.metaObject, WellKnownActions.properties: self = .description
        case WellKnownActions.unregisterEvent, WellKnownActions.terminate: self = .release
        case WellKnownActions.property: self = try Self.property(.read, call, members)
        case WellKnownActions.setProperty: self = try Self.property(.write, call, members)
        default:
            if call.isPost, let signal = members.signal(action) {
                // Posting to a property's signal sets it.
                self = .member(members.property(action) == nil ? .emit : .write, uid: action, name: signal.meta.name)
            } else if let method = members.method(action) {
                self = .member(.call, uid: action, name: method.meta.name)
            } else {
                self = .nothing
            }
        }
    }

    /// The link of a subscription.
    static func link(of call: IncomingCall) throws(WireError) -> UInt64? { try argument(2, of: call)?.asLink }

    /// What the audit calls the member that a call is about, before its arguments are read.
    static func name(of call: IncomingCall, _ members: MemberTable?) -> String {
        let action = call.address.action
        return members?.method(action)?.meta.name ?? members?.signal(action)?.meta.name ?? "#\(action)"
    }

    private static func property(_ access: Access, _ call: IncomingCall, _ members: MemberTable) throws(WireError) -> AccessRequest {
        // The value behind it is read when it may be written.
        var payload = call.payload
        let key = try payload.readFirstQiKey(MemberTable.generic.method(call.address.action)?.parameters, flags: call.header.flags)
        if let name = key.asString {
            let uid = members.metaObject.property(named: name)?.uid
            return .member(access, uid: uid ?? .max, name: name)
        }
        // The owner may know a property that we do not: not by this way.
        guard let uid = key.asUInt32, let property = members.property(uid) else {
            throw WireError(.resolution, "property: Id is not id of a property")
        }
        return .member(access, uid: uid, name: property.meta.name)
    }

    private static func checkLength(_ call: IncomingCall) throws(WireError) {
        let most =
            switch call.address.action {
            case WellKnownActions.setProperty: Int.max
            case WellKnownActions.registerEventWithSignature: Signature.maximumLength + maximumArguments
            case ..<WellKnownActions.firstUserAction where MemberTable.generic.method(call.address.action) != nil: maximumArguments
            default: Int.max
            }
        guard call.payload.readableBytes <= most else {
            throw WireError(.limit, "\(call.payload.readableBytes) bytes of arguments, where \(most) are allowed")
        }
    }

    private static func argument(_ index: Int, of call: IncomingCall) throws(WireError) -> QiValue? {
        guard let method = MemberTable.generic.method(call.address.action) else { return nil }
        let arguments = try CallPayload(of: call, method).arguments
        return arguments.indices.contains(index) ? arguments[index] : nil
    }
}

import NIOCore
import QiWire

/// The payload of a Call, decoded as its flags say (wire reference §4, §14).
struct CallPayload {
    /// One value per parameter, of the parameter's type; for parameters `m`, whatever was passed.
    var arguments: [QiValue]
    /// The type the caller wants the result converted to.
    var returnType: Signature?

    /// The longest text of such a type, in bytes: results are converted to it as often as they have elements.
    private static let maximumReturnType = 4096

    /// Of a call that came over a connection.
    init(of call: IncomingCall, _ method: MemberTable.Method) throws(WireError) {
        var payload = call.payload
        try self.init(reading: &payload, flags: call.header.flags, method: method, objects: call.connection.objectCoding)
    }

    init(reading payload: inout ByteBuffer, flags: MessageFlags, method: MemberTable.Method, objects: ObjectCoding) throws(WireError) {
        let parameters = method.parameters
        if flags.contains(.dynamicPayload) {
            let given = try payload.readQiArguments(.dynamic, objects: objects)
            if case .tuple(let tuple) = parameters.type {
                // Before a type is made of as many members as a peer likes.
                guard given.values.count == tuple.members.count else {
                    throw WireError(
                        .conversion, "\(given.values.count) arguments were given, \(parameters.text) takes \(tuple.members.count)")
                }
                let converted = try QiValue.tuple(given.values).converted(from: given.tupleType, to: parameters.type)
                arguments = try QiArguments(converted, as: parameters.type).values
            } else {
                arguments = given.values
            }
        } else {
            arguments = try payload.readQiArguments(parameters, objects: objects).values
        }
        if flags.contains(.returnType) {
            guard case .string(let text) = try payload.readQi(.string), let wanted = text.text else {
                throw WireError(.signature, "the wanted return type is not a signature")
            }
            guard wanted.utf8.count <= Self.maximumReturnType else {
                throw WireError(
                    .limit, "the wanted return type has \(wanted.utf8.count) bytes, where \(Self.maximumReturnType) are allowed")
            }
            let signature = try Signature(wanted)
            guard Convertibility.score(from: method.returns.type, to: signature.type) > 0 else {
                throw WireError(
                    .conversion,
                    "Call error: will not be able to convert return type from \(method.returns.text) to \(wanted)")
            }
            returnType = signature
        }
    }
}

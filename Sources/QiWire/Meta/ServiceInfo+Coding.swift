public import NIOCore

extension ServiceInfo: QiConvertible {
    /// `ServiceInfo.signature`.
    public static var qiType: QiType { signature.type }

    /// Reads an entry of the current form.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        try self.init(reading: &buffer, isOlder: false)
    }

    /// Reads an entry.
    ///
    /// - Parameter isOlder: whether it has `olderSignature`, without the object uid.
    /// - Throws: `.truncated`, `.limit` as any value does.
    public init(reading buffer: inout ByteBuffer, isOlder: Bool) throws(WireError) {
        let signature = isOlder ? ServiceInfo.olderSignature : ServiceInfo.signature
        try self.init(members: try buffer.readQi(signature.type))
    }

    /// Writes an entry of the current form.
    public func write(to buffer: inout ByteBuffer) throws(WireError) { write(to: &buffer, isOlder: false) }

    /// Writes an entry, without the object uid in the older form.
    public func write(to buffer: inout ByteBuffer, isOlder: Bool) {
        buffer.writeQiString(nameBytes)
        buffer.writeQiUInt32(serviceID)
        buffer.writeQiString(machineIDBytes)
        buffer.writeQiUInt32(processID)
        buffer.writeQiUInt32(UInt32(truncatingIfNeeded: endpointBytes.count))
        for endpoint in endpointBytes { buffer.writeQiString(endpoint) }
        buffer.writeQiString(sessionIDBytes)
        if !isOlder { buffer.writeQiString(QiString(bytes: objectUID)) }
    }

    /// As a value of type `ServiceInfo.signature`.
    public var qiValue: QiValue {
        .tuple([
            .string(nameBytes), .uint32(serviceID), .string(machineIDBytes), .uint32(processID),
            .list(endpointBytes.map { .string($0) }), .string(sessionIDBytes), .string(QiString(bytes: objectUID)),
        ])
    }

    /// As a value of type `ServiceInfo.olderSignature`, for directories that take no other.
    public var olderQiValue: QiValue { .tuple(qiValue.asTuple.map { Array($0.dropLast()) } ?? []) }

    /// Bytes that a name may have: more than that of any service on another device, behind its address and a slash. What looks a text up
    /// composes its characters first, each of which may be as long as the text.
    public static var longestName: Int { 4096 }

    /// Takes a value of either form, or a dynamic holding one.
    ///
    /// - Throws: `.conversion` for another shape, `.limit` for a name that is longer than ``longestName``.
    public init(qiValue: QiValue) throws(WireError) { try self.init(members: qiValue.unwrapped) }

    /// The entries of a list, as `services()` of a directory returns it. One whose name is longer than ``longestName`` is left out: libqi's
    /// directory takes it from anybody, and the others are to be found beside it.
    ///
    /// - Throws: `.conversion` for another shape.
    public static func list(_ value: QiValue) throws(WireError) -> [ServiceInfo] {
        var infos: [ServiceInfo] = []
        for entry in value.asList ?? [] {
            do throws(WireError) {
                infos.append(try ServiceInfo(qiValue: entry))
            } catch where error.code == .limit {
                continue
            }
        }
        return infos
    }

    private init(members value: QiValue) throws(WireError) {
        guard let members = value.asTuple, members.count == 6 || members.count == 7,
            let name = members[0].asQiString, let serviceID = members[1].asUInt32,
            let machineID = members[2].asQiString, let processID = members[3].asUInt32,
            let endpoints = members[4].asList, let sessionID = members[5].asQiString
        else { throw WireError(.conversion, "a service info has the form \(ServiceInfo.signature.text)") }
        guard name.bytes.count <= ServiceInfo.longestName else {
            throw WireError(.limit, "the name of a service has \(name.bytes.count) bytes: at most \(ServiceInfo.longestName) are read")
        }
        self.init(name: "", serviceID: serviceID, machineID: "", processID: processID, endpoints: [], sessionID: "")
        nameBytes = name
        machineIDBytes = machineID
        sessionIDBytes = sessionID
        for endpoint in endpoints {
            guard let endpoint = endpoint.asQiString else { throw WireError(.conversion, "an endpoint has to be a string") }
            endpointBytes.append(endpoint)
        }
        guard members.count == 7 else { return }
        guard let uid = members[6].asQiString else { throw WireError(.conversion, "an object uid has to be a string") }
        objectUID = uid.bytes
    }
}

import NIOCore
import QiWire
import Testing

@Suite struct MetaObjectTests {
    /// The metaobject of the recorded directory.
    private func directory() throws -> MetaObject {
        let frame = try #require(
            try Vectors.frames("a1_handshake_services").first { $0.payloadSignature == MetaObject.signature.text })
        var payload = try Vectors.message(try #require(frame.hex)).payload
        return try MetaObject(reading: &payload)
    }

    @Test func libqisGenericMembersAreOurs() throws {
        let recorded = try directory()
        for method in MetaObject.generic.methods {
            let theirs = try #require(recorded.method(method.uid))
            #expect(theirs.fullName == method.fullName)
            #expect(theirs.returnSignature == method.returnSignature)
            #expect(theirs.isPrivate)
        }
        for signal in MetaObject.generic.signals { #expect(recorded.signal(signal.uid) == signal) }
        #expect(recorded.methods.filter { $0.uid < 100 }.count == MetaObject.generic.methods.count)
    }

    @Test func theDirectorysMembers() throws {
        let recorded = try directory()
        #expect(recorded.method(fullName: "service::(s)")?.uid == WellKnownActions.service)
        #expect(try recorded.method(WellKnownActions.service)?.parsedReturn() == ServiceInfo.signature)
        #expect(recorded.method(WellKnownActions.registerService)?.parametersSignature == "(\(ServiceInfo.signature.text))")
        #expect(recorded.signal(named: "serviceAdded")?.uid == WellKnownActions.serviceAdded)
        #expect(try recorded.signal(WellKnownActions.serviceRemoved)?.parsedSignature() == Signature("(Is)"))
        #expect(recorded.method(WellKnownActions.socketOfService)?.isPrivate == true)
        #expect(recorded.methods(named: "machineId").map(\.uid) == [WellKnownActions.machineID])
        #expect(recorded.method(fullName: "service::(i)") == nil)
        #expect(recorded.method(fullName: "service") == nil)
        #expect(recorded.property(named: "x") == nil && recorded.property(1) == nil && recorded.signal(1) == nil)
    }

    @Test func buildingOne() throws {
        var builder = MetaObjectBuilder(description: "a robot")
        #expect(builder.addMethod("say", parameters: "(s)", description: "speaks") == 100)
        #expect(builder.addSignal("spoken", "(s)") == 101)
        #expect(builder.addProperty("volume", "i") == 102)
        #expect(builder.addMethod("fixed", parameters: "m", returns: "m", uid: 200) == 200)
        #expect(builder.addMethod("_hidden", parameters: "()") == 201)
        let metaObject = builder.build()
        #expect(metaObject.description == "a robot")
        #expect(metaObject.signal(named: "volume") == MetaSignal(uid: 102, name: "volume", signature: "(i)"))
        #expect(metaObject.property(named: "volume") == MetaProperty(uid: 102, name: "volume", signature: "i"))
        #expect(metaObject.method(WellKnownActions.registerEvent) != nil)
        #expect(metaObject.methods.filter { !$0.isPrivate }.map(\.name) == ["say", "fixed"])
        var buffer = ByteBuffer()
        metaObject.write(to: &buffer)
        var generic = buffer
        #expect(try MetaObject(reading: &buffer) == metaObject)
        #expect(try generic.readQi(MetaObject.qiType) == metaObject.qiValue)
        #expect(try MetaObject.generic.merging(metaObject) == metaObject)
    }

    @Test func orderDoesNotCountButIsKept() throws {
        let first = MetaSignal(uid: 1, name: "a", signature: "()")
        let second = MetaSignal(uid: 2, name: "b", signature: "()")
        let one = MetaObject(signals: [first, second])
        let other = MetaObject(signals: [second, first])
        #expect(one == other)
        #expect(one.hashValue == other.hashValue)
        #expect(other.signals == [second, first])
        #expect(one != MetaObject(signals: [first]))
        #expect(one != MetaObject(signals: [first, second], description: "x"))
    }

    @Test func mergingRefusesClashes() throws {
        let own = MetaObject(methods: [MetaMethod(uid: 3, returnSignature: "v", name: "mine", parametersSignature: "()")])
        let error = #expect(throws: WireError.self) { try own.withGenericMembers() }
        #expect(error?.code == .value)
        #expect(throws: WireError.self) {
            try MetaObject(signals: [MetaSignal(uid: 86, name: "x", signature: "()")]).withGenericMembers()
        }
        let left = MetaObject(properties: [MetaProperty(uid: 100, name: "x", signature: "i")])
        #expect(throws: WireError.self) {
            try left.merging(MetaObject(properties: [MetaProperty(uid: 100, name: "x", signature: "s")]))
        }
        #expect(try left.merging(left) == left)
    }

    @Test func strangeMetaObjects() throws {
        // Signatures nobody can parse, a uid other than its key, a key twice, text that is not UTF-8: still a metaobject.
        var buffer = ByteBuffer()
        buffer.writeQiUInt32(0)
        buffer.writeQiUInt32(3)
        for (key, uid, name) in [(UInt32(1), UInt32(9), QiString("a")), (1, 1, "b"), (2, 2, QiString(bytes: [0xff]))] {
            buffer.writeQiUInt32(key)
            buffer.writeQiUInt32(uid)
            buffer.writeQiString(name)
            buffer.writeQiString("???")
        }
        buffer.writeQiUInt32(0)
        buffer.writeQiString("")
        let metaObject = try MetaObject(reading: &buffer)
        #expect(metaObject.signals.map(\.uid) == [1, 2])
        #expect(metaObject.signal(1)?.name == "a")
        #expect(metaObject.signal(2)?.name == "\u{fffd}")
        #expect(throws: WireError.self) { try metaObject.signal(1)?.parsedSignature() }
        #expect(throws: WireError.self) {
            try MetaMethod(uid: 1, returnSignature: "?", name: "f", parametersSignature: "?").parsedParameters()
        }
        #expect(throws: WireError.self) { try MetaProperty(uid: 1, name: "p", signature: "").parsedSignature() }
    }

    @Test func tooManyMembers() throws {
        var buffer = ByteBuffer()
        buffer.writeQiUInt32(UInt32(MetaObject.maximumMembers + 1))
        let error = #expect(throws: WireError.self) { try MetaObject(reading: &buffer) }
        #expect(error?.code == .limit)
        buffer = bytes("00100000")
        let truncated = #expect(throws: WireError.self) { try MetaObject(reading: &buffer) }
        #expect(truncated?.code == .truncated)
    }

    @Test func serviceInfosKeepAnyBytes() throws {
        var buffer = ByteBuffer()
        buffer.writeQiString(QiString(bytes: [0xc3]))
        buffer.writeQiUInt32(2)
        buffer.writeQiString("machine")
        buffer.writeQiUInt32(3)
        buffer.writeQiUInt32(1)
        buffer.writeQiString(QiString(bytes: [0xfe, 0x00]))
        buffer.writeQiString("session")
        let older = buffer
        buffer.writeQiString(QiString(bytes: [0xff, 0x80, 0x41]))
        var reading = buffer
        let info = try ServiceInfo(reading: &reading)
        #expect(info.objectUID == [0xff, 0x80, 0x41])
        var written = ByteBuffer()
        try info.write(to: &written)
        #expect(written == buffer)

        reading = older
        #expect(throws: WireError.self) { try ServiceInfo(reading: &reading) }
        let old = try ServiceInfo(reading: &reading, isOlder: true)
        #expect(old.objectUID.isEmpty && old.machineID == "machine" && old.processID == 3)
        written.clear()
        old.write(to: &written, isOlder: true)
        #expect(written == older)
    }

    /// libqi's directory takes any name, and what is registered beside one that is too long is to be found.
    @Test func aListLeavesOutNamesThatAreTooLong() throws {
        func info(_ length: Int) -> QiValue {
            ServiceInfo(
                name: String(repeating: "n", count: length), serviceID: UInt32(length), machineID: "m", processID: 1, endpoints: [],
                sessionID: "s"
            ).qiValue
        }
        let infos = try ServiceInfo.list(.list([info(3), info(ServiceInfo.longestName + 1), info(ServiceInfo.longestName)]))
        #expect(infos.map(\.serviceID) == [3, UInt32(ServiceInfo.longestName)])
        #expect(throws: WireError.self) { try ServiceInfo.list(.list([.int32(1)])) }
    }
}

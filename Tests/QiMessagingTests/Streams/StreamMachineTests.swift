import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// The rules of a device stream, one at a time.
struct StreamMachineTests {
    private func sender(window: Int = 1 << 20) throws -> StreamSender {
        var sender = StreamSender()
        try sender.resume(from: 0, window: window)
        return sender
    }

    private func names(_ sender: inout StreamSender, piece: Int = 1000) -> [String] {
        var names: [String] = []
        while let frame = sender.next(piece) { names.append(name(frame)) }
        return names
    }

    private func name(_ frame: StreamNumbered) -> String {
        switch frame {
        case .whole(let bytes): (try? bytes.joined.peekMessageHeader()).flatMap { $0.map { "\($0.kind) \($0.id)" } } ?? "?"
        case .begin(let number, let length, let bytes): "begin \(number) \(bytes.count)/\(length)"
        case .more(let number, let bytes): "more \(number) \(bytes.count)"
        case .drop(let number): "drop \(number)"
        case .end(let reason): "end \(reason)"
        }
    }

    // MARK: Order

    @Test func aSmallAnswerPassesALargeOneOfTheSameObject() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.reply, id: 1, bytes: 50_000))
        #expect(sender.next(1000).map(name) == "begin 0 1000/50028")
        _ = sender.append(StreamSample.message(.reply, id: 2))
        #expect(sender.next(1000).map(name) == "\(MessageKind.reply) 2")
    }

    @Test func callsToOneObjectKeepTheirOrderWhateverTheirSize() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.call, id: 1, bytes: 3000))
        _ = sender.append(StreamSample.message(.post, id: 2))
        _ = sender.append(StreamSample.message(.call, id: 3, service: 11))
        let order = names(&sender)
        #expect(order.firstIndex(of: "\(MessageKind.call) 3") == 1)
        #expect(order.last == "\(MessageKind.post) 2")
    }

    @Test func anEventWaitsForTheAnswerToItsSubscription() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.event, id: 1, bytes: 20_000))
        _ = sender.append(StreamSample.message(.reply, id: 2, action: WellKnownActions.registerEvent))
        _ = sender.append(StreamSample.message(.event, id: 3))
        #expect(names(&sender, piece: 20_000).suffix(2) == ["\(MessageKind.reply) 2", "\(MessageKind.event) 3"])
    }

    @Test func aCallPassesTheThousandPostsOfAnotherClientToTheSameObject() throws {
        var sender = try sender()
        for id in 1...1000 { _ = sender.append(StreamSample.message(.post, id: UInt32(id), client: 1)) }
        for id in 2001...2003 { _ = sender.append(StreamSample.message(.call, id: UInt32(id), client: 2)) }
        let order = names(&sender)
        let calls = [1, 3, 5]
        #expect(calls.map { order[$0] } == (2001...2003).map { "\(MessageKind.call) \($0)" })
        #expect(order.enumerated().filter { !calls.contains($0.offset) }.map(\.element) == (1...1000).map { "\(MessageKind.post) \($0)" })
    }

    @Test func aClientThatCallsManyObjectsHasNoMoreTurnsThanOneThatCallsOne() throws {
        var sender = try sender()
        for id in 1...100 { _ = sender.append(StreamSample.message(.call, id: UInt32(id), service: UInt32(id), client: 1)) }
        for id in 201...210 { _ = sender.append(StreamSample.message(.call, id: UInt32(id), client: 2)) }
        for id in 301...310 { _ = sender.append(StreamSample.message(.reply, id: UInt32(id))) }
        let first = names(&sender).prefix(30)
        for range in [1...100, 201...210, 301...310] {
            #expect(first.count { name in range.contains { name.hasSuffix(" \($0)") } } == 10)
        }
    }

    @Test func aCallIsTakenBackFromWhicheverClientItIs() throws {
        var sender = try sender()
        for client in 0..<3 { _ = sender.append(StreamSample.message(.call, id: UInt32(client), client: UInt64(client))) }
        #expect(sender.withdraw(callOf: 2, to: ObjectAddress(service: 10, object: 1))?.client == 2)
        #expect(sender.withdraw(callOf: 2, to: ObjectAddress(service: 10, object: 1)) == nil)
        #expect(names(&sender) == ["\(MessageKind.call) 0", "\(MessageKind.call) 1"])
    }

    @Test func ofTwoCallsWithOneIDTheOneToThatObjectIsTakenBack() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.call, id: 1))
        _ = sender.append(StreamSample.message(.post, id: 1, service: 11))
        #expect(sender.withdraw(callOf: 1, to: ObjectAddress(service: 11, object: 1)) == nil)
        #expect(sender.withdraw(callOf: 1, to: ObjectAddress(service: 10, object: 1)) != nil)
        #expect(names(&sender) == ["\(MessageKind.post) 1"])
    }

    /// A client that goes away takes all its calls back: none of them looks through those of the others.
    @Test func callsAreTakenBackQuicklyBesideThoseOfManyClients() throws {
        var sender = try sender()
        for id: UInt32 in 0..<20_000 { _ = sender.append(StreamSample.message(.call, id: id, client: UInt64(id % 10_000))) }
        let begin = ContinuousClock.now
        // Behind the first of its lane, whose turn would be looked for.
        for id: UInt32 in 10_000..<20_000 { #expect(sender.withdraw(callOf: id, to: ObjectAddress(service: 10, object: 1)) != nil) }
        let took = ContinuousClock.now - begin
        #expect(took < .seconds(5), "\(took)")
        #expect(sender.queuedBytes == 10_000 * 36)
    }

    @Test func aMessageIsOfTheClientThatWasNotedForItsCallOrPost() {
        var clients = StreamClients()
        clients.note(7, of: 1)
        clients.note(8, of: 2)
        clients.note(0, of: 3)
        #expect(clients.take(StreamSample.message(.reply, id: 1).header) == 0)
        #expect(clients.take(StreamSample.message(.post, id: 2).header) == 8)
        #expect(clients.take(StreamSample.message(.call, id: 1).header) == 7)
        #expect(clients.take(StreamSample.message(.call, id: 1).header) == 0)
        #expect(clients.take(StreamSample.message(.call, id: 3).header) == 0)
    }

    @Test func aCancellationGoesFirst() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.call, id: 1))
        _ = sender.append(StreamSample.message(.cancel, id: 2, action: 0))
        #expect(names(&sender) == ["\(MessageKind.cancel) 2", "\(MessageKind.call) 1"])
    }

    @Test func bulkGetsItsShareBesideCallsWithoutEnd() throws {
        var sender = try sender(window: 1 << 30)
        _ = sender.append(StreamSample.message(.reply, id: 1, bytes: 1_000_000))
        var bulk = 0
        for id in 2..<1002 {
            // Each time the small one and one piece more may leave.
            _ = sender.append(StreamSample.message(.call, id: UInt32(id), service: UInt32(id), bytes: 972))
            _ = sender.append(StreamSample.message(.call, id: UInt32(id), service: UInt32(id), bytes: 972))
            if let frame = sender.next(1000), !name(frame).hasPrefix("\(MessageKind.call)") { bulk += 1 }
            try sender.confirm(sender.cursor)
        }
        // Weights of 8 and 2.
        #expect((150...250).contains(bulk), "\(bulk) of 1000 pieces were bulk")
    }

    @Test func aCallThatComesToAnIdleMomentDoesNotWaitForBulkToCatchUp() throws {
        var sender = try sender()
        for id in 1..<500 {
            _ = sender.append(StreamSample.message(.call, id: UInt32(id), bytes: 972))
            _ = sender.next(1000)
            try sender.confirm(sender.cursor)
        }
        // Bulk begins while no call is there.
        _ = sender.append(StreamSample.message(.reply, id: 1000, bytes: 100_000))
        _ = sender.append(StreamSample.message(.reply, id: 1001, bytes: 100_000))
        for _ in 0..<4 { _ = sender.next(1000) }
        _ = sender.append(StreamSample.message(.call, id: 2000))
        #expect([sender.next(1000), sender.next(1000)].compactMap { $0.map(name) }.contains("\(MessageKind.call) 2000"))
    }

    @Test func noMoreMessagesBeginThanAPeerKeeps() throws {
        var sender = try sender()
        var receiver = StreamReceiver(StreamReceiver.Limits(), longest: 50_000_028)
        for id in 1...3 { _ = sender.append(StreamSample.message(.reply, id: UInt32(id), bytes: 25_000_000)) }
        for id in 4...1200 { _ = sender.append(StreamSample.message(.reply, id: UInt32(id), bytes: 3000)) }
        var taken = 0
        while let frame = sender.next(16_000) {
            try receiver.take(frame)
            while receiver.popReady() != nil { taken += 1 }
            try sender.confirm(receiver.tell())
        }
        #expect(taken == 1200)
    }

    // MARK: Events that are left out

    private func latest(_ id: UInt32, action: UInt32 = 100, service: UInt32 = 10, bytes: Int = 8) -> StreamMessage {
        StreamSample.message(.event, id: id, service: service, action: action, bytes: bytes, fill: UInt8(truncatingIfNeeded: id),
            flags: .latest)
    }

    private func events(_ sender: inout StreamSender, piece: Int = 1000) throws -> [String] {
        var events: [String] = []
        while let frame = sender.next(piece) {
            guard case .whole(let bytes) = frame else { return events + [name(frame)] }
            let (header, missed, payload) = try StreamSample.event(bytes.joined)
            #expect(payload == ByteBuffer(repeating: UInt8(truncatingIfNeeded: header.id), count: 8) || header.kind != .event)
            events.append(missed > 0 ? "\(header.id) after \(missed)" : "\(header.id)")
        }
        return events
    }

    @Test func aLaterEventTakesThePlaceOfOneThatWaitsAndTellsOfIt() throws {
        var sender = try sender()
        let serials = (1...5).map { sender.append(latest($0)) }
        #expect(sender.sentUpTo == serials[4])
        #expect(try events(&sender) == ["5 after 4"])
        #expect(sender.queuedBytes == 0 && sender.sentUpTo == serials[4] + 1)
        _ = sender.append(latest(6))
        #expect(try events(&sender) == ["6"])
    }

    @Test func whatAnEventToldOfIsToldByTheOneThatTakesItsPlace() throws {
        var sender = try sender()
        func told(_ id: UInt32, _ missed: Int) -> StreamMessage {
            var header = MessageHeader(
                id: id, payloadLength: 12, kind: .event, flags: [.latest, .gap],
                address: ActionAddress(service: 10, object: 1, action: 100))
            header.payloadLength = 12
            var (frame, payload) = (ByteBuffer(), EventGap.bytes(missed))
            payload.writeRepeatingByte(UInt8(id), count: 8)
            frame.writeMessage(header, payload: payload)
            return StreamMessage(header, StreamBytes(frame))
        }
        _ = sender.append(told(1, 10))
        _ = sender.append(told(2, 100))
        _ = sender.append(latest(3))
        #expect(try events(&sender) == ["3 after 112"])
        _ = sender.append(told(4, .max))
        _ = sender.append(latest(5))
        #expect(try events(&sender) == ["5 after \(UInt32.max)"])
    }

    @Test func theLaterEventStandsWhereTheEarlierOneStoodAndOthersKeepTheirOrder() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.event, id: 1, action: 101, fill: 1))
        _ = sender.append(latest(2))
        _ = sender.append(StreamSample.message(.event, id: 3, action: 101, fill: 3))
        _ = sender.append(latest(4))
        _ = sender.append(latest(5, action: 102))
        _ = sender.append(latest(6, service: 11))
        // Of two objects in turns.
        #expect(try events(&sender).filter { $0 != "6" } == ["1", "4 after 1", "3", "5"])
    }

    @Test func noEventPassesTheAnswerToASubscription() throws {
        var sender = try sender()
        _ = sender.append(latest(1))
        _ = sender.append(StreamSample.message(.reply, id: 2, action: WellKnownActions.registerEvent))
        _ = sender.append(latest(3))
        _ = sender.append(StreamSample.message(.reply, id: 4, action: WellKnownActions.registerEvent, client: 0))
        _ = sender.append(latest(5))
        _ = sender.append(latest(6))
        #expect(try events(&sender) == ["1", "2", "3", "4", "6 after 1"])
    }

    @Test func signalsOfOneObjectThatAreRaisedInTurnLeaveInTurn() throws {
        var sender = try sender()
        for action: UInt32 in 100...101 { _ = sender.append(latest(1, action: action)) }
        var served: [UInt32] = []
        for id: UInt32 in 2..<10 {
            for action: UInt32 in 100...101 { _ = sender.append(latest(id, action: action)) }
            guard case .whole(let bytes)? = sender.next(1000) else { throw QiError(.invalid, "no event left") }
            served.append(try StreamSample.header(bytes.joined).address.action)
        }
        #expect(served == [100, 101, 100, 101, 100, 101, 100, 101])
    }

    @Test func aSignalLeavesBesideABacklogOfAnotherThatGrows() throws {
        var sender = try sender()
        for id: UInt32 in 1...3 { _ = sender.append(StreamSample.message(.event, id: id, action: 101, fill: UInt8(id))) }
        _ = sender.append(latest(4))
        var came: [UInt32] = []
        for id: UInt32 in 5...8 {
            _ = sender.append(StreamSample.message(.event, id: 2 * id, action: 101))
            _ = sender.append(latest(2 * id + 1))
            guard case .whole(let bytes)? = sender.next(1000) else { throw QiError(.invalid, "no event left") }
            came.append(try StreamSample.header(bytes.joined).id)
        }
        #expect(came == [1, 2, 3, 17])
    }

    @Test func ofAClientThatHasNothingWaitingThatIsKnown() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.call, id: 1, client: 7))
        #expect(sender.holds(messagesOf: 7) && !sender.holds(messagesOf: 8))
        _ = sender.next(1000)
        #expect(!sender.holds(messagesOf: 7))
    }

    @Test func anEventThatMayNotBeLeftOutStaysAndNoneBeforeItIsLeftOutAfter() throws {
        var sender = try sender()
        _ = sender.append(latest(1))
        _ = sender.append(StreamSample.message(.event, id: 2, fill: 2))
        _ = sender.append(StreamSample.message(.event, id: 3, fill: 3))
        _ = sender.append(latest(4))
        _ = sender.append(latest(5))
        #expect(try events(&sender) == ["1", "2", "3", "5 after 1"])
    }

    @Test func anEventOfWhichSomethingHasLeftStays() throws {
        var sender = try sender()
        _ = sender.append(latest(1, bytes: 3000))
        #expect(sender.next(1000).map(name) == "begin 0 1000/3028")
        _ = sender.append(latest(2))
        _ = sender.append(latest(3))
        #expect(names(&sender) == ["more 0 1000", "more 0 1000", "more 0 28", "\(MessageKind.event) 3"])
    }

    @Test func anObjectWhoseEventsComeQuicklyHasItsTurn() throws {
        var sender = try sender()
        for service in 10..<13 { _ = sender.append(latest(1, service: UInt32(service))) }
        var served: [UInt32] = []
        for _ in 0..<3 {
            for id in 2..<10 { _ = sender.append(latest(UInt32(id), service: 10)) }
            let frame = sender.next(1000)
            guard case .whole(let bytes)? = frame else { throw QiError(.invalid, "\(frame.map(name) ?? "nothing") left") }
            served.append(try StreamSample.header(bytes.joined).address.service)
        }
        #expect(served == [10, 11, 12])
    }

    @Test func anEventInTheClassOfLongOnesGivesItsPlaceToAShortOneAndTheOtherWay() throws {
        var sender = try sender()
        _ = sender.append(latest(1, bytes: 100_000))
        _ = sender.append(latest(2))
        #expect(try events(&sender) == ["2 after 1"])
        _ = sender.append(latest(3))
        _ = sender.append(latest(4, bytes: 100_000))
        #expect(names(&sender, piece: 60_000) == ["begin 0 60000/100032", "more 0 40032"])
    }

    @Test func ofASignalOneEventWaitsHoweverManyAreRaised() throws {
        var sender = try sender()
        for id in 1...10_000 { _ = sender.append(latest(UInt32(id), action: UInt32(100 + id % 3))) }
        #expect(sender.queuedBytes == 3 * (28 + 4 + 8))
        #expect(sender.queuedEventBytes(besides: nil) == sender.queuedBytes)
        #expect(sender.queuedEventBytes(besides: ActionAddress(service: 10, object: 1, action: 100)) == 2 * 40)
        var (missed, came) = (0, 0)
        while case .whole(let bytes)? = sender.next(1000) {
            missed += try StreamSample.event(bytes.joined).missed
            came += 1
        }
        #expect(came == 3 && missed == 9_997)
    }

    // MARK: Withdrawing

    @Test func aCallThatHasNotLeftIsTakenBackWithoutATrace() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.call, id: 1, bytes: 500_000))
        #expect(sender.withdraw(callOf: 1, to: ObjectAddress(service: 10, object: 1))?.header.id == 1)
        #expect(sender.next(1000) == nil && sender.queuedBytes == 0 && sender.sentUpTo == 1)
    }

    @Test func theRestOfAMessageThatHasBegunIsTakenBack() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.reply, id: 1, bytes: 500_000))
        _ = sender.next(1000)
        #expect(sender.withdraw(answerTo: 1, of: ObjectAddress(service: 10, object: 1), longerThan: 1000) != nil)
        #expect(names(&sender) == ["drop 0"])
        var receiver = StreamReceiver(StreamReceiver.Limits(), longest: 1 << 20)
        try receiver.take(.begin(0, length: 1000, StreamBytes(ByteBuffer(repeating: 0, count: 10))))
        try receiver.take(.drop(0))
        #expect(!receiver.hasReady)
        #expect(throws: StreamFault.self) { try receiver.take(.more(0, StreamBytes(ByteBuffer(repeating: 0, count: 10)))) }
    }

    @Test func whatHasLeftCannotBeTakenBack() throws {
        var sender = try sender()
        _ = sender.append(StreamSample.message(.call, id: 1))
        _ = sender.next(1000)
        #expect(sender.withdraw(callOf: 1, to: ObjectAddress(service: 10, object: 1)) == nil)
    }

    // MARK: Bounds

    @Test func noMoreIsSentThanThePeerTakesUnconfirmed() throws {
        var sender = try sender(window: 3000)
        _ = sender.append(StreamSample.message(.reply, id: 1, bytes: 100_000))
        #expect(names(&sender).count == 3)
        try sender.confirm(2)
        #expect(names(&sender).count == 2)
        #expect(sender.keptBytes <= 4100)
    }

    @Test func noMoreIsSentUnconfirmedThanThePathIsGoodFor() throws {
        var sender = try sender()
        sender.mostKept = 3000
        _ = sender.append(StreamSample.message(.reply, id: 1, bytes: 100_000))
        #expect(names(&sender).count == 3)
        try sender.confirm(2)
        #expect(names(&sender).count == 2)
        // What was sent on a path for more goes out again all the same.
        sender.mostKept = 1000
        try sender.resume(from: 2, window: 1 << 20)
        #expect(names(&sender) == ["more 0 1000", "more 0 1000", "more 0 1000"])
    }

    @Test func aWideStreamIsFilledThoughLittleMayBeUnconfirmed() throws {
        var pair = StreamPair()
        try pair.attach()
        pair.opener.machine.keep(most: 32 << 10)
        _ = pair.opener.machine.append(StreamSample.message(.reply, id: 1, bytes: 200_000))
        let begin = pair.now
        for _ in 0..<100 where pair.answerer.taken.isEmpty {
            pair.write(fromOpener: true, piece: 1 << 14, most: 1 << 16)
            try pair.deliver(toOpener: false)
            if pair.answerer.machine.hasToWrite(at: pair.now) { pair.write(fromOpener: false, piece: 1 << 14, most: 1 << 16) }
            try pair.deliver(toOpener: true)
        }
        #expect(pair.answerer.taken.count == 1 && pair.now == begin)
    }

    @Test(arguments: [
        (PathWidth(piece: 500, rate: 2000, unconfirmed: 16 << 10), 2000, 16 << 10),
        (PathWidth(piece: 16 << 10, unconfirmed: 32 << 10), nil, 32 << 10), (PathWidth(piece: 16 << 10, unconfirmed: 32 << 10), 1, 40_768),
        (PathWidth(piece: 16 << 10, unconfirmed: 32 << 10), 50, 256 << 10), (PathWidth.wide, 1, 256 << 10),
    ])
    func aLongWideWayHasMoreUnconfirmed(_ width: PathWidth, _ milliseconds: Int64?, _ bytes: Int) {
        #expect(width.unconfirmed(over: milliseconds.map { .milliseconds($0) }) == bytes)
    }

    @Test func positionsThatCannotBeAreRefused() throws {
        var sender = try sender()
        for id in 1...3 { _ = sender.append(StreamSample.message(.call, id: UInt32(id))) }
        _ = names(&sender)
        try sender.confirm(2)
        #expect(throws: StreamFault.self) { try sender.confirm(1) }
        #expect(throws: StreamFault.self) { try sender.confirm(4) }
        #expect(throws: StreamFault.self) { try sender.resume(from: 4, window: 1000) }
        // A greeting that left before the confirmation.
        try sender.resume(from: 1, window: 1000)
        #expect(sender.cursor == 2)
        // It came on the path before: it is sent again, since the peer counts, and is kept no longer.
        try sender.confirm(3)
        #expect(sender.next(1000).map(name) == "\(MessageKind.call) 3")
        #expect(sender.next(1000) == nil && !sender.isAwaiting)
    }

    @Test func aPeerThatSendsMoreThanItMayIsEnded() throws {
        var limits = StreamReceiver.Limits()
        limits.window = 1000
        limits.unfinished = 2
        limits.unfinishedBytes = 500
        func piece(_ count: Int) -> StreamBytes { StreamBytes(ByteBuffer(repeating: 0, count: count)) }
        var flooded = StreamReceiver(limits, longest: 2000)
        #expect(throws: StreamFault.self) { for _ in 0..<80 { try flooded.take(.whole(StreamSample.message(.call, bytes: 872).bytes)) } }
        var long = StreamReceiver(limits, longest: 2000)
        #expect(throws: StreamFault.self) { try long.take(.begin(1, length: 2001, piece(10))) }
        var many = StreamReceiver(limits, longest: 2000)
        try many.take(.begin(1, length: 2000, piece(10)))
        try many.take(.begin(2, length: 2000, piece(10)))
        #expect(throws: StreamFault.self) { try many.take(.begin(3, length: 2000, piece(10))) }
        var big = StreamReceiver(limits, longest: 2000)
        try big.take(.begin(1, length: 2000, piece(1500)))
        #expect(throws: StreamFault.self) { try big.take(.begin(2, length: 2000, piece(1500))) }
        var more = StreamReceiver(limits, longest: 2000)
        try more.take(.begin(1, length: 20, piece(15)))
        #expect(throws: StreamFault.self) { try more.take(.more(1, piece(6))) }
        var after = StreamReceiver(limits, longest: 2000)
        try after.take(.end("done"))
        #expect(throws: StreamFault.self) { try after.take(.whole(piece(30))) }
    }

    @Test func whatCameWholeHasToBeOneMessage() throws {
        let call = StreamSample.message(.call, bytes: 100).bytes.joined
        func piece(_ count: Int) throws -> StreamBytes { StreamBytes(try #require(call.getSlice(at: 0, length: count))) }
        for count in [1, 27, 28, 127] {
            var receiver = StreamReceiver(StreamReceiver.Limits(), longest: 2000)
            #expect(throws: StreamFault.self, "\(count) bytes of 128") { try receiver.take(.whole(piece(count))) }
        }
        var receiver = StreamReceiver(StreamReceiver.Limits(), longest: 2000)
        try receiver.take(.begin(0, length: 129, StreamBytes(call)))
        #expect(throws: StreamFault.self) { try receiver.take(.more(0, piece(1))) }
    }

    @Test func noMoreIsBegunBeforeTheLoginThanOneOfTheLongest() throws {
        func begin(_ receiver: inout StreamReceiver) throws {
            let piece = StreamBytes(ByteBuffer(repeating: 0, count: 900))
            for number in UInt32(0)..<3 { try receiver.take(.begin(number, length: 2000, piece)) }
        }
        var receiver = StreamReceiver(StreamReceiver.Limits(), longest: 2000)
        #expect(throws: StreamFault.self) { try begin(&receiver) }
        receiver = StreamReceiver(StreamReceiver.Limits(), longest: 2000)
        receiver.longest = StreamReceiver.Limits().message
        try begin(&receiver)
    }

    @Test func aMessageThatGoesOnWaitingKeepsNoMoreThanItself() throws {
        var receiver = StreamReceiver(StreamReceiver.Limits(), longest: 2000)
        for id in 1...3 {
            // As it comes out of TLS: a slice of a buffer that is much larger.
            var buffer = ByteBuffer()
            buffer.reserveCapacity(32 * 1024)
            StreamSample.message(.call, id: UInt32(id)).bytes.write(to: &buffer)
            try receiver.take(.whole(StreamBytes(buffer)))
            if id != 2 { receiver.keepReady() }
        }
        for id in 1...3 {
            let popped = receiver.popReady()
            let message = try #require(popped)
            #expect(message.storageCapacity <= 64)
            #expect(try StreamSample.header(message).id == UInt32(id))
        }
    }

    @Test func anUnreadMessageIsNotConfirmed() throws {
        var pair = StreamPair()
        try pair.attach()
        pair.answerer.reads = false
        for id in 1...5 { _ = pair.opener.machine.append(StreamSample.message(.call, id: UInt32(id))) }
        pair.write(fromOpener: true, piece: 1000, most: 1 << 20)
        try pair.deliver(toOpener: false)
        #expect(pair.answerer.machine.receiver.received == 5 && pair.answerer.machine.receiver.taken == 0)
        // It is not sent again on another path either.
        try pair.attach()
        pair.write(fromOpener: true, piece: 1000, most: 1 << 20)
        try pair.deliver(toOpener: false)
        pair.answerer.reads = true
        StreamPair.take(&pair.answerer)
        #expect(pair.answerer.taken.count == 5 && pair.answerer.machine.receiver.taken == 5)
    }

    // MARK: Life

    @Test func anIdlePathIsAskedEveryFiveMinutesAndADeadOneIsNoticedAfterFifteenSeconds() {
        let start = NIODeadline.uptimeNanoseconds(0)
        var liveness = StreamLiveness(StreamLiveness.Times(), at: start)
        #expect(liveness.tick(at: start) == .ping(1))
        liveness.received(at: start + .milliseconds(80))
        liveness.pong(1, at: start + .milliseconds(80))
        liveness.isAwaiting(false, at: start + .milliseconds(80))
        #expect(liveness.roundTrip == .milliseconds(80))
        #expect(liveness.tick(at: start + .minutes(4)) == .nothing)
        #expect(liveness.tick(at: start + .minutes(6)) == .ping(2))
        #expect(liveness.tick(at: start + .minutes(6) + .seconds(14)) == .nothing)
        #expect(liveness.tick(at: start + .minutes(6) + .seconds(15)) == .dead)
    }

    @Test func unconfirmedFramesAreAskedAboutAfterFiveSeconds() {
        let start = NIODeadline.uptimeNanoseconds(0)
        var liveness = StreamLiveness(StreamLiveness.Times(), at: start)
        _ = liveness.tick(at: start)
        liveness.pong(1, at: start)
        liveness.isAwaiting(false, at: start)
        liveness.isAwaiting(true, at: start + .seconds(60))
        #expect(liveness.tick(at: start + .seconds(64)) == .nothing)
        #expect(liveness.tick(at: start + .seconds(65)) == .ping(2))
        // Other things come: the path lives.
        liveness.received(at: start + .seconds(70))
        #expect(liveness.tick(at: start + .seconds(84)) == .nothing)
        #expect(liveness.tick(at: start + .seconds(85)) == .dead)
    }

    @Test func aStreamWithoutAPathExpires() throws {
        var pair = StreamPair()
        try pair.attach()
        pair.cut()
        #expect(pair.opener.machine.tick(at: pair.now + .seconds(119)) == .nothing)
        #expect(pair.opener.machine.tick(at: pair.now + .seconds(120)) == .expired)
    }

    @Test func theEndComesBehindEverything() throws {
        var pair = StreamPair()
        try pair.attach()
        _ = pair.opener.machine.append(StreamSample.message(.call, id: 1, bytes: 40_000))
        pair.opener.machine.end("closed")
        try pair.settle()
        #expect(pair.answerer.taken.count == 1 && pair.answerer.machine.receiver.ended == "closed")
    }

    // MARK: Frames

    @Test func framesAreReadAsTheyWereWritten() throws {
        let bytes = StreamBytes(ByteBuffer(string: "head"), ByteBuffer(string: "tail"))
        let frames: [StreamFrame] = [
            .hello(StreamHello(purpose: .resume, stream: .random(), instance: 7, received: 9, window: 11)),
            .welcome(StreamWelcome(stream: .random(), received: 1 << 40, first: 3, window: .max)),
            .refused(StreamRefusal(reason: .full, text: "no room")),
            .numbered(.whole(bytes)), .numbered(.begin(3, length: 9, bytes)), .numbered(.more(3, bytes)), .numbered(.drop(3)),
            .numbered(.end("closed")), .confirm(5), .ping(6), .pong(.max),
        ]
        var all = ByteBuffer()
        for frame in frames { StreamFrameCoding.write(frame, to: &all) }
        // A byte at a time, too.
        var whole = all
        var drip = ByteBuffer()
        for frame in frames {
            let read = try StreamFrameCoding.read(from: &whole)
            #expect(read == frame)
        }
        var found: [StreamFrame] = []
        while let byte = all.readInteger(as: UInt8.self) {
            drip.writeInteger(byte)
            if let frame = try StreamFrameCoding.read(from: &drip) { found.append(frame) }
        }
        #expect(found == frames && whole.readableBytes == 0)
    }

    @Test(arguments: [
        [0x99, 0, 0, 0], [0x10, 1, 0, 1], [0x10, 0, 0, 0], [0x20, 0, 0, 9], [0x20, 0, 0, 4, 0, 0, 0, 0], [0x01, 0, 0, 41] + Array(repeating: 0, count: 41),
        [0x11, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 9], [0x11, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 7], [0x47, 0x45, 0x54, 0x20],
    ] as [[UInt8]])
    func bytesThatAreNoFramesAreRefused(_ bytes: [UInt8]) {
        var buffer = ByteBuffer(bytes: bytes)
        #expect(throws: StreamFault.self) { try StreamFrameCoding.read(from: &buffer) }
    }

    @Test func messagesAreFoundHoweverTheyAreWritten() throws {
        var all = ByteBuffer()
        for id in 1...3 { StreamSample.message(.call, id: UInt32(id), bytes: id * 100).bytes.write(to: &all) }
        for size in [1, 7, 28, 29, 100, 1000] {
            var (rest, splitter, found) = (all, StreamMessageSplitter(longest: 1000), [StreamMessage]())
            while rest.readableBytes > 0 {
                let slice = rest.readSlice(length: min(size, rest.readableBytes))
                let part = try #require(slice)
                try splitter.append(part) { found.append($0) }
            }
            var again = ByteBuffer()
            for message in found { message.bytes.write(to: &again) }
            #expect(again == all && found.map(\.header.id) == [1, 2, 3], "in writes of \(size) bytes")
        }
    }
}

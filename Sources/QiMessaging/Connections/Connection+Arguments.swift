import Logging
import NIOCore
import QiWire

extension Connection {
    /// Counts what is kept for a principal from now on; nil: for none.
    func countArguments(in meter: ArgumentMeter?) {
        guard argumentBytes.meter !== meter else { return }
        argumentBytes.move(to: meter)
        // What a frame may have is asked anew with every burst.
        if meter == nil { decoder.maximumKept = .max }
    }

    /// What is wrong with keeping the arguments of one more call; nil when nothing is.
    func refusal(ofArguments bytes: Int) -> String? {
        let room = roomForArguments
        // A gateway makes the calls of many on one connection: short ones go on, and are bounded by their number.
        let short = argumentBytes.meter == nil ? ArgumentBytes.leastFrame : 0
        guard bytes > max(room, short) else { return nil }
        return "limit: \(bytes) bytes of arguments are too many beside those of other calls, of which \(max(room, 0)) bytes more may wait: "
            + "try again when one was answered"
    }

    private var roomForArguments: Int {
        // A single call of the largest size may always be made.
        let single = limits.maximumPayload
        let own = max(limits.maximumArgumentBytes, single) - argumentBytes.inFlight
        let all = max(bus.argumentRoom, ArgumentMeter.least - argumentBytes.inFlight)
        let room = min(own, all)
        guard let meter = argumentBytes.meter else { return room }
        return min(room, meter.room(single: single))
    }

    /// - Throws: `.limit` when the peer holds as many subscriptions as it may.
    func checkSubscriptions() throws(QiError) {
        guard subscriptions < limits.maximumSubscriptions, argumentBytes.meter.map({ $0.subscriptions < ArgumentMeter.mostSubscriptions }) ?? true
        else { throw QiError(.limit, "too many subscriptions: end some first") }
    }

    /// Whether the peer may pass so many objects more in arguments.
    ///
    /// - Parameter bytes: of their descriptions.
    /// - Throws: `.limit`.
    func checkPassing(_ count: Int, describedIn bytes: Int = 0) throws(QiError) {
        // A device passes those of all its clients.
        let most = origin.device == nil ? limits.maximumPassedObjects : ArgumentMeter.mostObjects
        let known = max(objectsPassed, argumentBytes.meter?.objects ?? 0)
        guard objectsPassed + count <= most, known + count <= ArgumentMeter.mostObjects else {
            throw QiError(.limit, "\(count) objects more cannot be passed beside \(known) that are in use: release some first")
        }
        guard bytes <= roomForArguments else {
            throw QiError(.limit, "an object that describes itself in \(bytes) bytes cannot be passed beside what waits: release some first")
        }
    }

    func keepArguments(_ bytes: Int) {
        argumentBytes.keep(bytes)
        bus.argumentBytes += bytes
    }

    func dropArguments(_ bytes: Int) {
        argumentBytes.drop(bytes)
        bus.argumentBytes -= bytes
    }

    /// The connection is gone, with all calls.
    func dropAllArguments() {
        bus.argumentBytes -= argumentBytes.total
        argumentBytes.move(to: nil)
        argumentBytes = ArgumentBytes()
    }

    // MARK: - Frames

    /// Before frames of a peer are taken that is judged: how large one may be.
    func boundFrames() {
        guard argumentBytes.meter != nil else { return }
        // What has come of the present frame is counted, and is part of what it may have.
        decoder.maximumKept = max(ArgumentBytes.leastFrame, roomForArguments + argumentBytes.inFrame)
    }

    /// After the whole frames were taken: counts the rest, which is dropped when it is too much by now.
    func countFrame() {
        guard argumentBytes.meter != nil else { return }
        var held = decoder.heldBytes
        if held < ArgumentBytes.leastFrame { held = 0 }
        guard held != argumentBytes.inFrame else { return }
        count(inFrame: held)
        guard held > 0, roomForArguments < 0 else { return }
        decoder.dropHeldFrame()
        count(inFrame: 0)
    }

    /// A frame has come as a whole: it is counted as what it asks for from now on.
    func frameEnded() {
        if argumentBytes.inFrame > 0 { count(inFrame: 0) }
    }

    private func count(inFrame bytes: Int) {
        bus.argumentBytes += argumentBytes.count(inFrame: bytes)
    }

    /// Answers a call whose arguments were too many to be kept; whatever else they came with is dropped.
    func refuseCut(_ message: Message) {
        guard message.kind == .call else { return droppedCut(message) }
        IncomingCall(connection: self, message: message).fail(
            "limit: \(message.header.payloadLength) bytes of arguments are too many beside those of other calls: "
                + "try again when one was answered")
    }

    func droppedCut(_ message: Message) {
        logger.debug(
            "message dropped: too much waits for its answer",
            metadata: [LogKeys.peer: "\(origin)", LogKeys.error: "\(message.kind), \(message.header.payloadLength) bytes"])
    }
}

extension Message {
    /// The message with a payload of its own, when it is a small part of what was received with it: a call that waits must not keep
    /// that.
    func compacted() -> Message {
        guard payload.readableBytes * 4 < payload.storageCapacity else { return self }
        var message = self
        message.payload = ByteBuffer(buffer: payload)
        return message
    }
}

import Logging
import NIOCore
import QiWire

/// Frames on their way to the peer, and how fast the peer is read.
extension Connection {
    /// Appends one frame; it leaves when the current burst ends. `tail` is the rest of the payload, `client` the connection that a call or
    /// post came by (``Connection/id``); 0: it is of this process.
    func send(
        _ kind: MessageKind, id: UInt32, address: ActionAddress, flags: MessageFlags = [], payload: ByteBuffer = ByteBuffer(),
        tail: ByteBuffer? = nil, from client: UInt64 = 0
    ) {
        guard !isClosed, !hasInputEnded else { return }
        // A peer of before keeps all calls to an object in one order.
        if shared.eventGaps { stream?.clients.note(client, of: id) }
        let length = payload.readableBytes + (tail?.readableBytes ?? 0)
        if length >= limits.sharedMemoryThreshold, let place = sharedMemory?.place(payload, tail: tail, on: self) {
            append(MessageHeader(id: id, payloadLength: 0, kind: kind, flags: flags.union(.sharedMemory), address: address), place)
        } else {
            append(MessageHeader(id: id, payloadLength: 0, kind: kind, flags: flags, address: address), payload, tail: tail)
        }
        if !isDirty {
            isDirty = true
            bus.markDirty(self)
        }
        if backlog > limits.maximumOutboundBytes {
            close(.tooMuch("the peer does not read: \(backlog) bytes wait for it"))
        }
    }

    private func append(_ header: MessageHeader, _ payload: ByteBuffer, tail: ByteBuffer? = nil) {
        var header = header
        header.payloadLength = UInt32(truncatingIfNeeded: payload.readableBytes + (tail?.readableBytes ?? 0))
        if tail == nil, payload.readableBytes > 4096 {
            outbound.writeMessageHeader(header)
            return handOverAfterOutbound(payload)
        }
        outbound.writeMessage(header, payload: payload)
        if let tail { handOverAfterOutbound(tail) }
    }

    /// Not copied: the channel gathers what was appended and the bytes in one system call.
    private func handOverAfterOutbound(_ bytes: ByteBuffer) {
        channel.pipeline.syncOperations.write(NIOAny(outbound), promise: nil)
        channel.pipeline.syncOperations.write(NIOAny(bytes), promise: handOver(outbound.readableBytes + bytes.readableBytes))
        outbound.clear()
    }

    /// The peer has cancelled a call whose answer is on its way: a long one that has not all left is taken back, and that it was cancelled is
    /// answered in its place.
    func withdrawAnswer(to id: UInt32, of target: ObjectAddress) {
        guard let answer = stream?.withdraw(answerTo: id, of: target, longerThan: StreamLanes.bulk) else { return }
        release(answerObjects.take(ofAnswerTo: id, target))
        send(.canceled, id: id, address: answer.address)
    }

    /// Remembers the objects in an answer that was sent just now, as long as it may be taken back.
    func sent(_ objects: [ObjectAddress], inAnswerTo id: UInt32, of target: ObjectAddress) {
        guard !objects.isEmpty, let stream else { return }
        answerObjects.keep(objects, ofAnswerTo: id, target) { stream.machine.sender.holds(answerTo: $0, of: $1) }
    }

    /// Hands what was appended to the channel, once per burst.
    func flush() {
        guard isDirty else { return }
        isDirty = false
        guard !isClosed, !hasInputEnded else { return }
        if outbound.readableBytes > 0 {
            channel.pipeline.syncOperations.writeAndFlush(NIOAny(outbound), promise: handOver(outbound.readableBytes))
            outbound.clear()
        } else {
            channel.pipeline.syncOperations.flush()
        }
        writabilityChanged()
    }

    /// Counts bytes that go to the channel. While some wait there, the promise tells when these have left: without it a channel
    /// that is always busy, and never writable, would seem to have sent nothing.
    private func handOver(_ bytes: Int) -> EventLoopPromise<Void>? {
        let isBusy = backlog > 0
        handedOver += bytes
        guard isBusy else { return nil }
        let promise = channel.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess { [handedOver] in self.departed = max(self.departed, handedOver) }
        return promise
    }

    /// Bytes that wait for the peer to read, not counting those of the present burst.
    var backlog: Int { handedOver - departed }

    /// Whether one more payload for this peer may be queued on behalf of somebody else. Any size may when nothing waits.
    var mayQueueForwarded: Bool { !isClosed && backlog <= limits.maximumEventBacklog }

    /// Whether one more payload may be queued for a client of ours. On a stream, whose clients take turns, the others may have filled what
    /// there is: a short one may still come, in double the bytes, of a client that has nothing waiting.
    func mayForward(_ bytes: Int, from client: UInt64) -> Bool {
        if mayQueueForwarded { return true }
        guard !isClosed, shared.eventGaps, let stream, bytes <= StreamLanes.bulk, backlog <= 2 * limits.maximumEventBacklog else {
            return false
        }
        flush()
        return !isClosed && !stream.machine.sender.holds(messagesOf: client)
    }

    /// A Post has no answer that could bound how many run at a time: this does.
    func beginPost(_ bytes: Int) -> Bool {
        guard !isClosed, postsRunning < limits.maximumCallsInFlight, refusal(ofArguments: bytes) == nil else { return false }
        postsRunning += 1
        keepArguments(bytes)
        return true
    }

    func endPost(_ bytes: Int) {
        postsRunning -= 1
        // With the connection all of it was given up.
        if !isClosed { dropArguments(bytes) }
    }

    /// A peer that sends calls and does not read the answers is not read from, so that answers cannot pile up. A client
    /// always reads, or two peers could wait for each other.
    func writabilityChanged() {
        let isWritable = channel.isWritable
        if isWritable { departed = handedOver }
        guard role == .server, isReadingPaused == isWritable else { return }
        isReadingPaused = !isWritable
        if !isHeld { setReading(isWritable) }
    }

    func setReading(_ isReading: Bool) {
        channel.setOption(.autoRead, value: isReading).whenFailure { [logger] error in
            logger.debug("autoRead could not be set", metadata: [LogKeys.error: "\(error)"])
        }
        if isReading { channel.read() }
    }

    /// Whether one more event may be queued. Any size may when none waits.
    ///
    /// - Parameter address: of an event that may take the place of an earlier one, which does not count then.
    func mayQueueEvent(_ bytes: Int, inPlaceOfOneAt address: ActionAddress? = nil) -> Bool {
        if isClosed { return false }
        let backlog = stream?.machine.sender.queuedEventBytes(besides: address) ?? backlog
        if backlog == 0 || backlog + bytes <= min(limits.maximumEventBacklog, PathWidth.leastEventBytes) { return true }
        if backlog + bytes <= maximumEventBacklog { return true }
        droppedEvent("the subscriber does not read fast enough")
        return false
    }

    /// Bytes of events that may wait for the peer.
    private var maximumEventBacklog: Int {
        stream?.path?.width().eventBytes(limits.maximumEventBacklog) ?? limits.maximumEventBacklog
    }

    func droppedEvent(_ reason: String) {
        eventsDropped += 1
        guard eventsDropped.nonzeroBitCount == 1 else { return }  // the 1st, 2nd, 4th, 8th …
        logger.warning(
            "event dropped", metadata: [LogKeys.peer: "\(origin)", LogKeys.error: "\(reason)", "qi.events.dropped": "\(eventsDropped)"])
    }

    /// Ids of messages that nobody answers: they need not differ from those of calls.
    func newEventID() -> UInt32 {
        defer { nextEventIDValue = nextEventIDValue == .max ? 0x8000_0001 : nextEventIDValue + 1 }
        return nextEventIDValue
    }

    func newLink() -> UInt64 {
        defer { nextLink += 1 }
        return nextLink
    }
}

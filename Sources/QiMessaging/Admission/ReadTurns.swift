import DequeModule
import Logging
import NIOCore

/// Who at a gateway's listeners is served next (``TurnShares``). While nobody is out of his share everybody is served as he comes;
/// beyond, in turns, a place after the other, with the rest of the loop's work between. Confined to the bus loop.
final class ReadTurns {
    private let bus: Bus
    let clock: () -> NIODeadline
    private var shares: TurnShares
    private var waiting: [TurnShares.Party: Deque<ReadTurnHandler>] = [:]
    private var order: Deque<TurnShares.Party> = []
    private var isScheduled = false
    private var connected: [[UInt8]: Int] = [:]

    /// Bytes that connections of each place had sent when they ended, and that wait for their turns.
    private var rests: [[UInt8]: Int] = [:]
    /// More than the system keeps for one socket as it comes (`tcp_rmem`).
    static let maximumRest = 8 << 20
    static let maximumRests = 32 << 20

    /// Between two rounds: time for the loop to look what else there is.
    private static let pause = TimeAmount.microseconds(100)

    /// - Parameter clock: for tests.
    init(_ bus: Bus, clock: @escaping () -> NIODeadline = { .now() }) {
        self.bus = bus
        self.clock = clock
        shares = TurnShares(at: clock())
    }

    /// Connections, and the places they came from, that are known: for tests.
    var counts: (connected: Int, places: Int, waiting: Int) {
        (connected.values.reduce(0, +), shares.placesKnown, order.count)
    }

    func entered(_ handler: ReadTurnHandler) { connected[handler.place, default: 0] += 1 }

    /// What was made ready in a turn is done in it, and counts.
    fileprivate func drain() { bus.executor.drain() }

    func left(_ handler: ReadTurnHandler) {
        let count = connected[handler.place, default: 1] - 1
        connected[handler.place] = count > 0 ? count : nil
        if count <= 0 { shares.forget(handler.place) }
    }

    /// Whether what a connection had sent when it ended may wait for its turns; until it is done with that (``Connection/whenClosed(_:)``).
    fileprivate func mayKeepRest(_ bytes: Int, of connection: Connection, from place: [UInt8]) -> Bool {
        let known = rests[place, default: 0]
        guard known + bytes <= Self.maximumRest, rests.values.reduce(bytes, +) <= Self.maximumRests else { return false }
        rests[place] = known + bytes
        connection.whenClosed { [weak self] _ in
            guard let self, let kept = rests[place] else { return }
            rests[place] = kept > bytes ? kept - bytes : nil
        }
        return true
    }

    /// A connection has sent something that it holds until its turn.
    func wants(_ handler: ReadTurnHandler) {
        guard !handler.isWaiting else { return }
        let party = handler.party
        if waiting[party] == nil, let time = shares.turn(of: party, beside: order.count, at: clock()) {
            serve(handler, party, time)
        }
        if handler.hasMore { enqueue(handler) }
    }

    private func serve(_ handler: ReadTurnHandler, _ party: TurnShares.Party, _ time: TimeAmount) {
        let start = clock()
        handler.pass(until: start + time)
        let end = clock()
        shares.took(end - start, by: party, at: end)
    }

    private func enqueue(_ handler: ReadTurnHandler) {
        // Served within its own call: it may be in the queue by now.
        guard !handler.isWaiting else { return }
        handler.isWaiting = true
        let party = handler.party
        if waiting[party] == nil { order.append(party) }
        waiting[party, default: []].append(handler)
        schedule()
    }

    private func schedule() {
        guard !isScheduled, !order.isEmpty, !bus.isShutDown else { return }
        isScheduled = true
        _ = bus.schedule(at: clock() + Self.pause) { [weak self] in
            guard let self else { return }
            isScheduled = false
            round()
            bus.executor.scheduleDrain()
        }
    }

    /// Serves one connection of every party that has time left.
    private func round() {
        // They come first the next time: what is shared must not always go to the same ones.
        var blocked: Deque<TurnShares.Party> = []
        for _ in 0..<order.count {
            guard let party = order.popFirst() else { break }
            while waiting[party]?.first?.isGone == true { waiting[party]?.removeFirst() }
            guard let handler = waiting[party]?.first else {
                waiting[party] = nil
                continue
            }
            guard let time = shares.turn(of: party, beside: order.count + blocked.count, at: clock()) else {
                blocked.append(party)
                continue
            }
            waiting[party]?.removeFirst()
            handler.isWaiting = false
            if waiting[party]?.isEmpty == true { waiting[party] = nil } else { order.append(party) }
            serve(handler, party, time)
            if handler.hasMore { enqueue(handler) }
        }
        order = blocked + order
        schedule()
    }
}

/// The first handler of a connection at a gateway's listener, before TLS: holds what the peer sends until its turn, and reads no more
/// meanwhile. What the connection has taken and not looked at yet (``BurstTurn``) comes first, and in the same turns: a record of TLS
/// holds hundreds of frames, and what they cost is the place's as well.
final class ReadTurnHandler: ChannelDuplexHandler, TurnGiver {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    let place: [UInt8]
    /// Whether the peer has said who it is.
    var isProven = false
    /// Whether it is in a queue; what else is there waits with it.
    var isWaiting = false
    /// Gets nothing while it is held.
    weak var connection: Connection?
    private let turns: ReadTurns
    private var context: ChannelHandlerContext?
    private var held: Deque<ByteBuffer> = []
    /// The connection waits for a turn.
    private var isAsked = false
    private var isPassing = false
    private var hasLeft = false
    private var wantsRead = false

    /// What is passed on between two looks at the clock.
    private static let piece = 2048

    init(_ turns: ReadTurns, place: [UInt8]) {
        self.turns = turns
        self.place = place
    }

    var party: TurnShares.Party { TurnShares.Party(place: place, isProven: isProven) }
    /// Whether there is something to do at its turn.
    var hasMore: Bool { isAsked || context != nil && holdsBytes && !isHeld }
    var holdsBytes: Bool { !held.isEmpty }
    var isGone: Bool { context == nil && !isAsked }
    private var isHeld: Bool { connection?.isHeld ?? false }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        turns.entered(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        held = []
        leaveIfDone()
    }

    /// What the peer had sent at its end is its place's as well, which is known until that is done.
    private func leaveIfDone() {
        guard isGone, !hasLeft else { return }
        hasLeft = true
        turns.left(self)
    }

    func append(_: any TurnTaker) {
        isAsked = true
        if !isPassing { turns.wants(self) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { held.append(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) {
        if held.isEmpty { return context.fireChannelReadComplete() }
        if hasMore { turns.wants(self) }
    }

    func read(context: ChannelHandlerContext) {
        if held.isEmpty { return context.read() }
        wantsRead = true
        // A connection that was held reads again.
        if !isPassing, hasMore { turns.wants(self) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        // Somebody known may have posted and gone. A handshake that is cut short is worth nothing.
        if isProven { passRest(context) }
        held = []
        context.fireChannelInactive()
        if isAsked { turns.wants(self) }
    }

    /// Has the connection go on with what it left, and passes on what is held, until `deadline`; at least one piece.
    func pass(until deadline: NIODeadline) {
        guard hasMore else { return }
        isPassing = true
        defer { isPassing = false }
        var isFirst = true
        if isAsked {
            isAsked = false
            connection?.goOn()
            isFirst = false
        }
        guard let context else {
            turns.drain()
            return leaveIfDone()
        }
        while !isHeld, isFirst || turns.clock() < deadline, let piece = nextPiece() {
            context.fireChannelRead(wrapInboundOut(piece))
            isFirst = false
        }
        context.fireChannelReadComplete()
        if held.isEmpty, wantsRead {
            wantsRead = false
            context.read()
        }
    }

    /// All at once, behind what the connection holds: it takes that in turns when it hears of the end.
    private func passRest(_ context: ChannelHandlerContext) {
        guard !held.isEmpty else { return }
        isPassing = true
        defer { isPassing = false }
        let bytes = held.reduce(0) { $0 + $1.readableBytes }
        if let connection, !turns.mayKeepRest(bytes, of: connection, from: place) {
            return connection.logger.warning(
                "dropped what a peer had sent when its connection ended: too much waits",
                metadata: [LogKeys.peer: "\(connection.origin)", "qi.bytes": "\(bytes)"])
        }
        connection?.waitForLastTurn()
        while !held.isEmpty {
            // Each decrypted before the next, or all would be there twice.
            context.fireChannelRead(wrapInboundOut(held.removeFirst()))
            context.fireChannelReadComplete()
        }
    }

    private func nextPiece() -> ByteBuffer? {
        guard !held.isEmpty else { return nil }
        let piece = held[0].readSlice(length: min(Self.piece, held[0].readableBytes))
        if held[0].readableBytes == 0 { held.removeFirst() }
        return piece
    }
}

@available(*, unavailable)
extension ReadTurnHandler: Sendable {}

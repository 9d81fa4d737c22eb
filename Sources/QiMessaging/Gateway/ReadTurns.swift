import DequeModule
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

    func left(_ handler: ReadTurnHandler) {
        let count = connected[handler.place, default: 1] - 1
        connected[handler.place] = count > 0 ? count : nil
        if count <= 0 { shares.forget(handler.place) }
    }

    /// A connection has sent something that it holds until its turn.
    func wants(_ handler: ReadTurnHandler) {
        guard !handler.isWaiting else { return }
        let party = handler.party
        if waiting[party] == nil, let time = shares.turn(of: party, beside: order.count, at: clock()) {
            serve(handler, party, time)
        }
        if handler.holdsBytes { enqueue(handler) }
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
            if handler.holdsBytes { enqueue(handler) }
        }
        order = blocked + order
        schedule()
    }
}

/// The first handler of a connection at a gateway's listener, before TLS: holds what the peer sends until its turn, and reads no more
/// meanwhile.
final class ReadTurnHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    let place: [UInt8]
    /// Whether the peer has said who it is.
    var isProven = false
    /// Whether it is in a queue; what else is there waits with it.
    var isWaiting = false
    private let turns: ReadTurns
    private var context: ChannelHandlerContext?
    private var held: Deque<ByteBuffer> = []
    private var wantsRead = false

    /// What is passed on between two looks at the clock.
    private static let piece = 2048

    init(_ turns: ReadTurns, place: [UInt8]) {
        self.turns = turns
        self.place = place
    }

    var party: TurnShares.Party { TurnShares.Party(place: place, isProven: isProven) }
    var holdsBytes: Bool { !held.isEmpty }
    var isGone: Bool { context == nil }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        turns.entered(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        held = []
        turns.left(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { held.append(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) {
        if held.isEmpty { return context.fireChannelReadComplete() }
        turns.wants(self)
    }

    func read(context: ChannelHandlerContext) {
        if held.isEmpty { context.read() } else { wantsRead = true }
    }

    func channelInactive(context: ChannelHandlerContext) {
        // Somebody known may have posted and gone. A handshake that is cut short is worth nothing.
        if isProven { pass(until: .distantFuture) }
        held = []
        context.fireChannelInactive()
    }

    /// Passes on what is held, until `deadline`; at least one piece.
    func pass(until deadline: NIODeadline) {
        guard let context, !held.isEmpty else { return }
        repeat {
            guard let piece = held[0].readSlice(length: min(Self.piece, held[0].readableBytes)) else { break }
            if held[0].readableBytes == 0 { held.removeFirst() }
            context.fireChannelRead(wrapInboundOut(piece))
        } while !held.isEmpty && turns.clock() < deadline
        context.fireChannelReadComplete()
        if held.isEmpty, wantsRead {
            wantsRead = false
            context.read()
        }
    }
}

@available(*, unavailable)
extension ReadTurnHandler: Sendable {}

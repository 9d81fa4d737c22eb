import Logging
import NIOCore

/// The bytestreams of one XMPP connection: Jingle sessions, and the transports that they know.
struct Bytestreams {
    let jingle: JingleSessions
    let inBand: InBandBytestreams
    /// In the order in which they are told what happens: sessions end before their transports look at what is left.
    var extensions: [any XMPPExtension] { [jingle, inBand] }

    /// What is known of the way that in-band bytes take.
    var inBandStatus: InBandStatus {
        var status = inBand.status
        status.waitingToOpen = jingle.turns.count
        return status
    }

    /// - Parameters:
    ///   - bound: what was learned before of how much the server takes.
    ///   - learned: hears what is learned of that.
    ///   - clock: replaced in tests.
    ///   - counted: hears how many sessions there are, after every change.
    init(
        sink: any StanzaSink, executor: any StanzaExecutor, limits: BytestreamLimits = BytestreamLimits(),
        handlers: ClientHandlers = ClientHandlers(), logger: Logger, bound: SendingBound? = nil,
        learned: @escaping (SendingBound) -> Void = { _ in },
        clock: @escaping @Sendable () -> NIODeadline = { .now() }, counted: @escaping (Int) -> Void = { _ in }
    ) {
        inBand = InBandBytestreams(
            sink: sink, executor: executor, limits: limits, logger: logger, clock: clock, bound: bound, learned: learned)
        jingle = JingleSessions(
            sink: sink, executor: executor, transports: [inBand], limits: limits, handlers: handlers, logger: logger, clock: clock,
            counted: counted)
        inBand.owner = jingle
    }
}

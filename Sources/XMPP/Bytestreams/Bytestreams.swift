import Logging
import NIOCore

/// The bytestreams of one XMPP connection: Jingle sessions, and the transports that they know.
struct Bytestreams {
    let jingle: JingleSessions
    let inBand: InBandBytestreams
    let socks5: SOCKS5Bytestreams
    /// In the order in which they are told what happens: sessions end before their transports look at what is left.
    var extensions: [any XMPPExtension] { [jingle, inBand, socks5] }

    /// What is known of the way that in-band bytes take.
    var inBandStatus: InBandStatus {
        var status = inBand.status
        status.waitingToOpen = jingle.turns.count
        return status
    }

    /// - Parameters:
    ///   - lookUp: finds addresses of proxies' names; blocks.
    ///   - bound: what was learned before of how much the server takes.
    ///   - learned: hears what is learned of that.
    ///   - clock: replaced in tests.
    ///   - counted: hears how many sessions there are, after every change.
    init(
        sink: any StanzaSink, executor: any StanzaExecutor, limits: BytestreamLimits = BytestreamLimits(),
        socks5 socks5Limits: SOCKS5Limits = SOCKS5Limits(), handlers: ClientHandlers = ClientHandlers(),
        lookUp: @escaping ServerAddresses.LookUp = ServerAddresses.lookUp, logger: Logger, bound: SendingBound? = nil,
        learned: @escaping (SendingBound) -> Void = { _ in },
        clock: @escaping @Sendable () -> NIODeadline = { .now() }, counted: @escaping (Int) -> Void = { _ in }
    ) {
        inBand = InBandBytestreams(
            sink: sink, executor: executor, limits: limits, logger: logger, clock: clock, bound: bound, learned: learned)
        socks5 = SOCKS5Bytestreams(
            sink: sink, executor: executor, limits: socks5Limits, handlers: handlers, lookUps: HostLookUps(lookUp), logger: logger,
            clock: clock)
        jingle = JingleSessions(
            sink: sink, executor: executor, transports: [inBand, socks5], limits: limits, handlers: handlers, logger: logger, clock: clock,
            counted: counted)
        inBand.owner = jingle
        socks5.owner = jingle
    }
}

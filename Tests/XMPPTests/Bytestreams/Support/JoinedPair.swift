import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import XMPP

/// The bytestreams of two clients, robot and desk, joined in memory, everything on the test's own thread: stanza threads are queues, event
/// loops are embedded, the clock stands until it is advanced. Nothing happens but in ``settle()``.
final class JoinedPair {
    /// Work for one of the two stanza threads.
    final class Queue: StanzaExecutor {
        private let work = Locked<[@Sendable () -> Void]>([])

        func execute(_ work: @escaping @Sendable () -> Void) {
            self.work.withLock { $0.append(work) }
        }

        func run() -> Bool {
            let work = self.work.withLock { work in
                defer { work = [] }
                return work
            }
            for item in work { item() }
            return !work.isEmpty
        }
    }

    /// One of the two sides.
    final class Side {
        let jid: JID
        let sink: JoinedSink
        let queue = Queue()
        let loop = EmbeddedEventLoop()
        let bytestreams: Bytestreams

        init(_ jid: JID, limits: BytestreamLimits, clock: Locked<NIODeadline>) {
            self.jid = jid
            sink = JoinedSink(ownJID: jid)
            sink.now = { clock.withLock { $0 } }
            bytestreams = Bytestreams(
                sink: sink, executor: queue, limits: limits, logger: Logger(label: "test"),
                clock: { clock.withLock { $0 } })
        }
    }

    /// Bounds that let whole windows of whole blocks be under way from the start.
    static var wide: BytestreamLimits {
        var limits = BytestreamLimits()
        limits.initialBudget = 256 * 1024
        return limits
    }

    static let namespace = "urn:example:app:1"
    static let application = Element("description", namespace: namespace)

    let robot: Side
    let desk: Side
    /// Every stanza that was delivered, as `robot: session-initiate`, named for its sender.
    private(set) var conversation: [String] = []
    /// Looks at each stanza before it is delivered; nil keeps it from arriving.
    var tamper: (TravellingStanza) -> TravellingStanza? = { $0 }
    /// Stanzas wait here when true, until it is false and ``settle()`` runs.
    var isHeld = false
    /// Most stanzas that one ``settle()`` delivers, in order, as on a server that lets few through.
    var mostDelivered = Int.max
    /// When true, robot is no client but a script: ``ask(_:kind:)`` speaks for it, and whatever it is asked it answers with a
    /// plain result.
    var isRobotScripted = false
    private let clock = Locked(NIODeadline.uptimeNanoseconds(1_000_000_000))
    private var wire: [(from: String, to: JID, TravellingStanza)] = []

    /// - Parameter delaysAcknowledgements: as the limits say; else each leaves at once, since ``settle()`` lets no time pass.
    init(limits: BytestreamLimits = BytestreamLimits(), delaysAcknowledgements: Bool = false) throws {
        var limits = limits
        if !delaysAcknowledgements { limits.acknowledgementDelay = .zero }
        robot = Side(try #require(JID("robot@mesh.test/r1")), limits: limits, clock: clock)
        desk = Side(try #require(JID("desk@mesh.test/d1")), limits: limits, clock: clock)
        robot.sink.transmit = { [unowned self] to, stanza in self.wire.append(("robot", to, stanza)) }
        desk.sink.transmit = { [unowned self] to, stanza in self.wire.append(("desk", to, stanza)) }
    }

    /// Lets everything happen that can happen without time passing.
    func settle() {
        var isBusy = true
        var left = mostDelivered
        while isBusy {
            robot.loop.run()
            desk.loop.run()
            let didRobot = robot.queue.run()
            let didDesk = desk.queue.run()
            isBusy = didRobot || didDesk || (!isHeld && deliver(&left))
            robot.loop.run()
            desk.loop.run()
        }
    }

    private func deliver(_ left: inout Int) -> Bool {
        let stanzas = wire.prefix(left)
        wire.removeFirst(stanzas.count)
        left -= stanzas.count
        for (from, to, stanza) in stanzas {
            guard let stanza = tamper(stanza) else { continue }
            conversation.append("\(from): \(stanza.summary)")
            if to == desk.jid {
                desk.bytestreams.handle(stanza, at: desk.sink)
            } else if to == robot.jid {
                if isRobotScripted, case .request(let iq) = stanza {
                    robot.sink.answer(to: iq.from, id: iq.id, with: .success(nil))
                    continue
                }
                robot.bytestreams.handle(stanza, at: robot.sink)
            } else if case .request(let iq) = stanza, to == iq.from.server {
                let sink = from == "robot" ? robot.sink : desk.sink
                sink.answered(from: to, id: iq.id, .success(nil))
            }
        }
        return !stanzas.isEmpty
    }

    /// How many stanzas wait to be delivered.
    var held: [String] { wire.map(\.2.summary) }

    func advance(by amount: TimeAmount) {
        clock.withLock { $0 = $0 + amount }
        for side in [robot, desk] {
            side.sink.expire()
            side.bytestreams.tick()
        }
        settle()
    }

    var now: NIODeadline { clock.withLock { $0 } }

    func forgetConversation() { conversation = [] }

    /// Sends a raw request from robot to desk and returns desk's answer; `nothing` when there is none yet.
    func ask(_ payload: Element, kind: IQRequest.Kind = .set) -> String {
        let answer = Locked("nothing")
        robot.sink.sendIQ(kind, to: desk.jid, payload: payload, timeout: .seconds(3)) { result in
            switch result {
            case .success: answer.withLock { $0 = "result" }
            case .failure(let error):
                let detail = error.stanzaError?.application.map { " \($0.name)" } ?? ""
                answer.withLock { $0 = (error.stanzaError?.condition ?? error.code.description) + detail }
            }
        }
        settle()
        return answer.withLock { $0 }
    }

    // MARK: Channels

    /// The two ends of a bytestream with what came out of them.
    struct Ends {
        let robot: Recorder
        let desk: Recorder
    }

    /// Desk takes whatever is offered, with one more handler beneath the recorder if given.
    func acceptAtDesk(_ recorder: Recorder) {
        desk.bytestreams.jingle.setHandler(applicationNamespace: JoinedPair.namespace, on: desk.loop) { _ in
            .accept { recorder.install(on: $0) }
        }
    }

    /// Opens a bytestream from robot to desk.
    func open() throws -> Ends {
        let ends = Ends(robot: Recorder(), desk: Recorder())
        acceptAtDesk(ends.desk)
        openFromRobot(ends.robot)
        settle()
        try #require(ends.robot.error == nil)
        try #require(ends.robot.channel?.isActive == true)
        try #require(ends.desk.channel?.isActive == true)
        return ends
    }

    @discardableResult
    func openFromRobot(
        _ recorder: Recorder, application: Element = application, timeout: TimeAmount = .seconds(30)
    ) -> JingleSessions.OpeningID {
        robot.bytestreams.jingle.open(
            to: desk.jid, application: application, on: robot.loop, timeout: timeout,
            initializer: { recorder.install(on: $0) }, completion: { recorder.completed($0) })
    }
}

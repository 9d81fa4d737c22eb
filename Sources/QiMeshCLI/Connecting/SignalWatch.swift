import Foundation
import QiMesh
import QiMessaging
import QiWire

/// One subscription of a watch.
struct WatchedSignal: Sendable {
    /// `pepper/ALMemory.touched`.
    let label: String
    let signature: String
    let events: SignalEvents
}

extension NodeSession {
    /// Subscribes to the signals that a pattern means.
    /// - Parameters:
    ///   - known: labels that are watched already.
    ///   - latest: whether only the newest event counts, for a slow reader and on a slow path.
    func subscribe(
        to found: FoundService, _ pattern: String, except known: Set<String>, device: DeviceName?, latest: Bool
    ) async throws(CommandFailure) -> [WatchedSignal] {
        var watched: [WatchedSignal] = []
        for signal in try found.signals(pattern) {
            let label = "\(found.label).\(signal.name)"
            if known.contains(label) { continue }
            let events = try await patience.wait(for: label, atMost: patience.answer, device: device?.text, console) {
                () async throws(CommandFailure) in
                do throws(QiError) {
                    return try await found.proxy.events(of: signal.name, buffering: latest ? .latest : .newest(1_024))
                } catch {
                    throw CommandFailure(error, device: device?.text)
                }
            }
            watched.append(WatchedSignal(label: label, signature: signal.signature, events: events))
        }
        return watched
    }
}

/// Prints events until there were enough, the time is up, or the way is lost.
struct SignalWatch: Sendable {
    let session: NodeSession
    let sources: [WatchedSignal]
    /// Nil for no end.
    let count: Int?
    /// Nil for no end.
    let time: Duration?
    /// Whether only the newest event counts.
    let latest: Bool

    /// How many events wait for a slow reader of stdout; older ones are dropped beyond, and their number told.
    static let waitingLimit = 4_096

    private enum Turn: Sendable {
        /// Of a source, with its number among that source's events, those included that were left out.
        case event(source: Int, number: Int, [QiValue])
        case ended(CommandFailure?)
    }

    /// - Throws: `closed` when the directory or a service went away.
    func run() async throws(CommandFailure) {
        let failure: CommandFailure? = await withTaskGroup(of: Void.self) { group in
            let turns = AsyncStream.makeStream(of: Turn.self, bufferingPolicy: .bufferingNewest(latest ? 1 : Self.waitingLimit))
            for (index, source) in sources.enumerated() {
                group.addTask {
                    var number = 0
                    for await event in source.events.withGaps {
                        number &+= event.missed
                        turns.continuation.yield(.event(source: index, number: number, event.value))
                        number &+= 1
                    }
                    guard let error = source.events.failure else { return }
                    let message = "\(source.label) ended: \(error.message)"
                    turns.continuation.yield(.ended(CommandFailure(.closed, message, hint: error.hint)))
                }
            }
            if let time {
                group.addTask {
                    do { try await Task.sleep(for: time) } catch { return }
                    turns.continuation.yield(.ended(nil))
                }
            }
            let failure = await show(turns.stream)
            for source in sources { source.events.stop() }
            group.cancelAll()
            return failure
        }
        if let failure { throw failure }
    }

    private func show(_ turns: AsyncStream<Turn>) async -> CommandFailure? {
        var shown = 0
        var expected = Array(repeating: 0, count: sources.count)
        for await turn in turns {
            switch turn {
            case .ended(let failure): return failure
            case .event(let index, let number, let arguments):
                let missed = number &- expected[index]
                if missed > 0, !latest || !session.console.json { session.console.note(Self.gap(missed, sources[index].label)) }
                expected[index] = number &+ 1
                print(sources[index], arguments, missed)
                shown += 1
                if shown == count { return nil }
            }
        }
        return nil
    }

    /// `17 events of pepper/Sonar.distance were left out: they come faster than the path or the reader takes them`.
    static func gap(_ missed: Int, _ label: String) -> String {
        let events = missed == 1 ? "1 event of \(label) was" : "\(missed) events of \(label) were"
        return "\(events) left out: they come faster than the path or the reader takes them"
    }

    private func print(_ source: WatchedSignal, _ arguments: [QiValue], _ missed: Int) {
        let types = (try? Signature(source.signature))?.type.tupleMembers ?? []
        let values = arguments.enumerated().map { JSONValue($1, as: $0 < types.count ? types[$0] : nil) }
        let now = Date()
        if session.console.json {
            session.console.document(.object([
                ("time", .number((now.timeIntervalSince1970 * 1_000).rounded() / 1_000)), ("signal", .string(source.label)),
                ("arguments", .array(values)), ("missed", .number(Double(missed))),
            ]))
        } else {
            let text = values.map(\.text).joined(separator: " ")
            session.console.line("\(ClockText.text(now))  \(Printable.line(source.label))  \(text)")
        }
    }
}

extension NodeSession {
    /// Returns when the connection to the directory has ended, with the reason; nil when the task was cancelled. For what lives in the
    /// node and ends with that connection.
    func ended() async -> CommandFailure? {
        for await state in session.states {
            if case .reconnecting(let error) = state { return CommandFailure(.closed, "\(url) has gone: \(error.message)") }
            if state.isClosed { return CommandFailure(.closed, "the session was closed") }
        }
        return nil
    }
}

import NIOCore

extension ConnectionCache {
    /// Which connection serves which endpoints, and what is being dialled. Pure; each event answers what to do.
    ///
    /// An endpoint belongs to a machine: the same loopback address on two machines is two endpoints. A connection is found under
    /// every endpoint of the host that it was made for. Whoever asks for endpoints that are being dialled waits for that dial. An
    /// endpoint that did not answer is left alone for a pause that grows with every failure.
    struct StateMachine<Waiter> {
        typealias ConnectionID = UInt64
        typealias DialID = UInt64

        struct Place: Hashable {
            let machine: String
            let endpoint: Endpoint
        }

        enum OnRequest {
            case use(ConnectionID)
            /// A dial is running: the waiter was noted.
            case wait
            /// Dial these; the waiter was noted.
            case dial(DialID, [Endpoint])
            case fail(QiError)
        }

        enum OnDialled {
            case resume([Waiter])
            /// The dial was ended before: close what it brought.
            case discard
        }

        private struct Dial {
            let places: [Place]
            var waiters: [Waiter]
        }

        private struct Failure {
            var backoff: Backoff
            var until: NIODeadline
            /// When nothing is remembered of it any more.
            var forgotten: NIODeadline
        }

        private var open: [Place: ConnectionID] = [:]
        private var dials: [DialID: Dial] = [:]
        private var failures: [Place: Failure] = [:]
        private var nextDial: DialID = 1
        private let first: TimeAmount
        private let most: TimeAmount
        private let maximumDials: Int
        private static var maximumFailures: Int { 4096 }

        init(first: TimeAmount, most: TimeAmount, maximumDials: Int) {
            self.first = first
            self.most = most
            self.maximumDials = maximumDials
        }

        /// Somebody needs a connection to the host of `endpoints` on `machine`. Best first; not empty.
        mutating func requested(
            _ endpoints: [Endpoint], on machine: String, by waiter: Waiter, at now: NIODeadline
        ) -> OnRequest {
            let places = endpoints.map { Place(machine: machine, endpoint: $0) }
            if let place = places.first(where: { open[$0] != nil }), let known = open[place] { return .use(known) }
            if let running = dials.first(where: { $0.value.places.contains(where: places.contains) })?.key {
                dials[running]?.waiters.append(waiter)
                return .wait
            }
            let rested = places.filter { failures[$0].map { $0.until <= now } ?? true }
            guard !rested.isEmpty else { return .fail(stillDead(places, now)) }
            guard dials.count < maximumDials else {
                return .fail(QiError(.limit, "\(dials.count) hosts are being dialled at once: try again when some have answered"))
            }
            defer { nextDial += 1 }
            dials[nextDial] = Dial(places: places, waiters: [waiter])
            return .dial(nextDial, rested.map(\.endpoint))
        }

        private func stillDead(_ places: [Place], _ now: NIODeadline) -> QiError {
            let next = places.compactMap { failures[$0]?.until }.min() ?? now
            let pause = max(0, (next - now).nanoseconds / 1_000_000)
            return QiError(
                .offline, "nobody answered at \(places.map(\.endpoint.text).joined(separator: ", ")) a moment ago",
                hint: "they are tried again in \(pause) ms")
        }

        /// A dial brought a connection, which is shared from now on.
        mutating func dialled(
            _ dial: DialID, _ connection: ConnectionID, failed: [Endpoint], at now: NIODeadline
        ) -> OnDialled {
            guard let ended = dials.removeValue(forKey: dial) else { return .discard }
            for place in ended.places {
                if failed.contains(place.endpoint) { remember(place, now) } else { failures[place] = nil }
                if open[place] == nil { open[place] = connection }
            }
            return .resume(ended.waiters)
        }

        /// A dial brought nothing.
        mutating func failed(_ dial: DialID, failed: [Endpoint], at now: NIODeadline) -> [Waiter] {
            guard let ended = dials.removeValue(forKey: dial) else { return [] }
            for place in ended.places where failed.contains(place.endpoint) { remember(place, now) }
            return ended.waiters
        }

        private mutating func remember(_ place: Place, _ now: NIODeadline) {
            var failure = failures[place] ?? Failure(backoff: Backoff(first: first, most: most), until: now, forgotten: now)
            failure.until = now + failure.backoff.next()
            failure.forgotten = failure.until + most
            failures[place] = failure
            guard failures.count > Self.maximumFailures else { return }
            failures = failures.filter { $0.value.forgotten > now }
            // Still too many: forgetting costs an attempt more, no memory.
            if failures.count > Self.maximumFailures { failures = [place: failure] }
        }

        mutating func closed(_ connection: ConnectionID) { open = open.filter { $0.value != connection } }

        /// Ends every dial.
        mutating func endAll() -> [Waiter] {
            defer { dials = [:] }
            return dials.values.flatMap(\.waiters)
        }

        var failuresRemembered: Int { failures.count }

        /// Dials that run.
        var dialsRunning: Int { dials.count }
    }
}

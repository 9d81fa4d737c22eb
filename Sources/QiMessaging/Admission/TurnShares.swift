import NIOCore

/// How much of an event loop's time those at a gateway's listeners may have for what they send: every place (``IPAddress/place``) has
/// a share of its own, and all who have not proven who they are have one together, for TLS handshakes cost much and anybody may ask
/// for them. Pure.
struct TurnShares {
    /// Whose turn it is. Those who have proven who they are do not wait behind those who have not.
    struct Party: Hashable {
        let place: [UInt8]
        let isProven: Bool
    }

    /// The longest turn, and the most that a place saves up.
    static let longestTurn = TimeAmount.milliseconds(1)
    private static let shortestTurn = TimeAmount.microseconds(50)
    private static let longestSaved = TimeAmount.milliseconds(2)
    /// How long places count as two after the other one was served last.
    private static let rivalry = TimeAmount.milliseconds(20)

    /// Time that may be used; less than none when more was used than there was.
    private struct Share {
        var credit: Int64
        var filledAt: NIODeadline

        init(_ most: TimeAmount, at now: NIODeadline) {
            credit = most.nanoseconds
            filledAt = now
        }

        mutating func fill(_ rate: Double, most: TimeAmount, at now: NIODeadline) {
            let passed = Double((now - filledAt).nanoseconds)
            credit = min(most.nanoseconds, credit + Int64(max(0, passed * rate)))
            filledAt = now
        }
    }

    private var places: [[UInt8]: Share] = [:]
    private var unproven: Share
    private var lastPlace: [UInt8] = []
    private var rivalsUntil: NIODeadline

    init(at now: NIODeadline = .now()) {
        unproven = Share(Self.longestSaved, at: now)
        rivalsUntil = now
    }

    var placesKnown: Int { places.count }

    /// How long `party` may be served now; nil when it has to wait.
    ///
    /// - Parameter waiting: how many others wait.
    mutating func turn(of party: Party, beside waiting: Int, at now: NIODeadline) -> TimeAmount? {
        let hasRivals = waiting > 0 || now < rivalsUntil
        var share = places[party.place] ?? Share(Self.longestTurn, at: now)
        // Half of the time; alone, all there is.
        share.fill(hasRivals ? 0.5 : 4, most: Self.longestTurn, at: now)
        places[party.place] = share
        var most = share.credit
        if !party.isProven {
            unproven.fill(0.25, most: Self.longestSaved, at: now)
            most = min(most, unproven.credit)
        }
        guard most > 0 else { return nil }
        let longest = Self.longestTurn.nanoseconds / Int64(hasRivals ? 2 + waiting : 1)
        return max(Self.shortestTurn, .nanoseconds(min(most, longest)))
    }

    /// A turn of `party` took this long.
    mutating func took(_ time: TimeAmount, by party: Party, at now: NIODeadline) {
        places[party.place]?.credit -= time.nanoseconds
        if !party.isProven { unproven.credit -= time.nanoseconds }
        if party.place != lastPlace {
            if !lastPlace.isEmpty { rivalsUntil = now + Self.rivalry }
            lastPlace = party.place
        }
    }

    /// Nobody of this place is connected any more. What it owes is forgiven: coming anew has limits of its own.
    mutating func forget(_ place: [UInt8]) { places[place] = nil }
}

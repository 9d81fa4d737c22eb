import Logging
import NIOCore

/// A bytestream that we want, until its negotiation begins.
struct Opening {
    let number: UInt64
    /// A full address.
    let peer: JID
    let application: Element
    let transport: BytestreamTransport
    /// For the negotiation, from its turn on.
    let timeout: TimeAmount
    let plan: ChannelPlan
}

extension JingleSessions {
    /// Negotiates a bytestream now, or when its turn comes (``OpeningTurns``). The reason when that cannot be.
    func begin(_ opening: Opening) -> XMPPError? {
        if let refusal = refusal(of: opening) { return refusal }
        // Few stanzas, and then none.
        if transport(opening.transport.kind)?.usesConnection == false { return initiate(opening) }
        switch turns.asked(opening.number, for: opening.peer.bare, at: clock()) {
        case .begin: return initiate(opening)
        case .wait:
            openings[opening.number] = opening
            return nil
        case .refuse: return XMPPError(.limitExceeded, "too many bytestreams wait to be set up; try again later")
        }
    }

    /// What speaks against a bytestream before anything was sent for it.
    private func refusal(of opening: Opening) -> XMPPError? {
        let peer = opening.peer
        guard sink?.ownJID != nil else { return XMPPError(.notConnected, "there is no connection to the XMPP server") }
        guard !peer.isBare else {
            return XMPPError(.invalidInput, "a bytestream needs the full address of one connection, not \(peer)")
        }
        guard hasRoom(for: peer, .initiator, besides: (all: turns.count, ofContact: turns.count(of: peer.bare))) else {
            return XMPPError(.limitExceeded, "too many bytestreams are open to \(peer.bare); close some")
        }
        return nil
    }

    /// Begins what has a place now.
    func beginNext() {
        // A negotiation that cannot begin ends at once, and its end frees the place.
        guard !isBeginning else { return }
        isBeginning = true
        defer { isBeginning = false }
        while let number = turns.next() {
            guard let opening = openings.removeValue(forKey: number) else { continue }
            guard let refusal = initiate(opening) else { continue }
            opening.plan.completion(.failure(refusal))
        }
    }

    /// A bytestream of ours that waits is not wanted any more, for that reason. False when none of that number waits.
    @discardableResult
    func giveUp(_ number: UInt64, _ error: XMPPError) -> Bool {
        guard let opening = openings.removeValue(forKey: number) else { return false }
        turns.left(number)
        opening.plan.completion(.failure(error))
        return true
    }

    /// The same for all that match.
    func giveUp(_ error: @autoclosure () -> XMPPError, where matches: (Opening) -> Bool) {
        for opening in openings.values where matches(opening) { giveUp(opening.number, error()) }
    }

    /// A session is no burden of the connection any more: it is over, or its application has heard from the other side.
    func isSetUp(_ number: UInt64) {
        turns.left(number)
        beginNext()
    }

    func passTime(at now: NIODeadline) {
        for number in turns.ticked(at: now) {
            guard let opening = openings.removeValue(forKey: number) else { continue }
            let text = "the bytestream to \(opening.peer) waited \(limits.openingPatience.components.seconds) s for others to be set up"
            opening.plan.completion(.failure(XMPPError(.limitExceeded, text)))
        }
        beginNext()
    }
}

import Logging
import QiMessaging
import XMPP

/// What other accounts ask for, and what they lose.
extension XMPPGateway {
    func subscriptionRequested(_ request: SubscriptionRequest) {
        guard contacts.expects(request.from, listed: listed(request.from)) else {
            if let token = request.token, enrollments?.expects(handle: token) == true {
                // Not decided by this: servers have seen the token's name. The request that proves the token comes next.
                return logger.info("a device begins to pair", metadata: ["xmpp.peer.jid": "\(request.from)"])
            }
            return sayFew(
                .request, "a device asks to be a contact",
                ["xmpp.peer.jid": "\(request.from)", "answer": "\(Command.approve(request.from))"])
        }
        if case .dropped(let unanswered) = decisions.continuation.yield(request) { client.keep(unanswered) }
    }

    /// Answers the requests that need no person.
    func answerRequests() async {
        for await request in decisions.stream {
            let jid = request.from
            do {
                guard try letIn(jid) else { continue }
                try await befriend(jid)
            } catch {
                // It waits for its owner, who can approve it.
                client.keep(request)
                let words = TunnelEndHandler.words(of: error) ?? "\(error)"
                logger.warning("a contact could not be approved", metadata: ["xmpp.peer.jid": "\(jid)", "error": "\(words)"])
            }
        }
    }

    /// A tunnel of one account made room for another account's.
    func bytestreamDisplaced(_ peer: JID, for newcomer: JID) {
        let device = "\(peer.bare)"
        let reason = "all places for tunnels were taken and it held the most, so \(newcomer.bare) was given one of them"
        sayFew(.displaced, "a tunnel made room for another", ["xmpp.peer.jid": "\(device)", "reason": "\(reason)"])
        server.access?.record(
            AuditRecord(
                event: "limited", principal: device, zone: .internet, target: "tunnel", access: "connect", isAllowed: false,
                path: "device \(device)", detail: reason))
    }
}

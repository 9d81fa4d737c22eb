import Logging
import NIOCore

extension SOCKS5Bytestreams {
    // MARK: Ours

    /// Opens our streamhosts and waits for the discovery of proxies; then the machine is there, and what to send is known. Not called back
    /// when the stream has ended meanwhile.
    func prepare(_ stream: SOCKS5Stream, on loop: any EventLoop, completion: @escaping (SOCKS5Transport) -> Void) {
        let number = stream.number
        let addresses = stream.options.allowsDirect ? Array(stream.options.addresses().prefix(limits.addresses)) : []
        stream.preparation = SOCKS5Stream.Preparation(
            addresses: addresses, places: addresses.isEmpty ? [] : nil, proxies: stream.options.allowsProxy ? nil : [],
            completion: completion)
        if !addresses.isEmpty {
            let names: Set = [stream.ourDigest, StreamDigest.of(sid: stream.sid, offering: stream.peer, other: stream.ownJID)]
            let listener = SOCKS5Listener(on: loop, names: names, limits: limits) { [weak self] index, channel in
                guard let self else { return channel.close(promise: nil) }
                self.enqueue(number, with: channel) { $0.arrived(channel, at: SOCKS5Bytestreams.directID(index), of: $1) }
            }
            stream.listener = listener
            listener.open(addresses) { [weak self] places in
                self?.enqueue(number) { bytestreams, stream in
                    stream.preparation?.places = places
                    bytestreams.continuePreparation(of: stream)
                }
            }
        }
        guard stream.options.allowsProxy else { return continuePreparation(of: stream) }
        discovery.whenKnown(by: clock() + limits.discovery) { [weak self] proxies in
            guard let self, let stream = self.streams[number] else { return }
            stream.preparation?.proxies = proxies
            self.continuePreparation(of: stream)
        }
    }

    private func continuePreparation(of stream: SOCKS5Stream) {
        guard let preparation = stream.preparation, let places = preparation.places, let proxies = preparation.proxies else { return }
        stream.preparation = nil
        let candidates = ours(stream, preparation.addresses, places, proxies)
        stream.machine = SOCKS5CandidatesStateMachine(isInitiator: stream.isInitiator, ours: candidates, limits: limits.candidates)
        preparation.completion(SOCKS5Transport(sid: stream.sid, digest: stream.ourDigest, candidates: candidates))
    }

    /// Ids of our candidates: short, and unique among ours.
    private static func directID(_ index: Int) -> String { "d\(index)" }

    private func ours(
        _ stream: SOCKS5Stream, _ addresses: [String], _ places: [SOCKS5Listener.Place], _ proxies: [ProxyHost]
    ) -> [SOCKS5Candidate] {
        var candidates: [SOCKS5Candidate] = []
        for (index, (address, place)) in zip(addresses, places).enumerated() {
            // What a scope means, only this device knows.
            let host = address.split(separator: "%").first.map { String($0) } ?? address
            switch place {
            case .open(let port):
                candidates.append(
                    SOCKS5Candidate(
                        cid: SOCKS5Bytestreams.directID(index), .direct, host: host, port: port, jid: stream.ownJID, rank: index))
            case .failed(let reason):
                stream.unopened.append(
                    BytestreamReport.Candidate(isOurs: true, kind: .direct, host: host, port: 0, reason: "no port there: \(reason)"))
            }
        }
        for (index, proxy) in proxies.enumerated() {
            // A responder repeats nothing of the initiator's (XEP-0260 §2.2).
            let isOffered = stream.offered?.candidates.contains { $0.host == proxy.host && $0.port == proxy.port } == true
            guard !isOffered else { continue }
            candidates.append(
                SOCKS5Candidate(cid: "p\(index)", .proxy, host: proxy.host, port: proxy.port, jid: proxy.jid, rank: index))
        }
        return candidates
    }

    /// The peer's connection to a streamhost of ours is there.
    private func arrived(_ channel: any Channel, at cid: String, of stream: SOCKS5Stream) {
        guard stream.channel == nil, stream.machine != nil else { return channel.close(promise: nil) }
        stream.arrived[cid] = channel
        stream.machine?.connectionArrived(cid: cid)
        proceed(stream)
    }

    // MARK: The peer's word

    func received(_ number: UInt64, _ info: Element, answer: (StanzaError?) -> Void) {
        guard let stream = streams[number], stream.machine != nil else { return answer(.outOfOrder) }
        let transport: SOCKS5Transport
        do throws(StanzaError) {
            transport = try SOCKS5Transport(parsing: info)
        } catch {
            return answer(error)
        }
        guard transport.sid == stream.sid else { return answer(.badRequest) }
        let verdict: SOCKS5CandidatesStateMachine.OnPeer?
        switch transport.step {
        case .used(let cid): verdict = stream.machine?.peerUsed(cid: cid)
        case .failed: verdict = stream.machine?.peerFailed()
        case .activated(let cid): verdict = stream.machine?.peerActivated(cid: cid)
        case .proxyFailed: verdict = stream.machine?.peerProxyFailed()
        // Candidates come with the offer or its acceptance.
        case nil: return answer(.unsupportedInfo)
        }
        switch verdict {
        case .fine:
            answer(nil)
            proceed(stream)
        case .unknownCandidate: answer(.itemNotFound)
        case .outOfOrder, nil: answer(.outOfOrder)
        }
    }

    // MARK: Steps

    /// Does what the machine says, until it waits for something.
    func proceed(_ stream: SOCKS5Stream) {
        stream.timer?.cancel()
        stream.timer = nil
        while streams[stream.number] === stream, stream.channel == nil {
            closeAbandoned(stream)
            guard let advance = stream.machine?.advance(now: clock()) else { return }
            for candidate in advance.dials { dial(candidate, of: stream) }
            if advance.tellsFailure { tell(.failed, stream) }
            closeAbandoned(stream)
            if let nomination = stream.machine?.takeNomination() {
                follow(nomination, stream)
            } else if !advance.tellsFailure {
                if let wake = advance.wake { self.wake(stream, at: wake) }
                return
            }
        }
    }

    private func closeAbandoned(_ stream: SOCKS5Stream) {
        for cid in stream.machine?.takeAbandoned() ?? [] {
            stream.dials.removeValue(forKey: cid)?.cancel()
            if let account = stream.accounts.removeValue(forKey: cid), account.isCounted {
                budget.giveBack(account.target, to: stream.peer.bare, at: clock())
            }
            stream.dialled.removeValue(forKey: cid)?.close(promise: nil)
        }
    }

    private func wake(_ stream: SOCKS5Stream, at time: NIODeadline) {
        let number = stream.number
        stream.timer = stream.loop?.scheduleTask(in: time - clock()) { [weak self] in
            self?.enqueue(number) { $0.proceed($1) }
        }
    }

    /// Says something about candidates. A peer that does not take it has left the negotiation.
    private func tell(_ step: SOCKS5Transport.Step, _ stream: SOCKS5Stream) {
        let number = stream.number
        owner?.inform(number, SOCKS5Transport(sid: stream.sid, step: step).element) { [weak self] error in
            guard let self, let stream = self.streams[number], stream.channel == nil else { return }
            self.owner?.failed(number, error, tell: JingleReason("failed-transport"))
        }
    }

    private func dial(_ candidate: SOCKS5Candidate, of stream: SOCKS5Stream) {
        let (number, cid) = (stream.number, candidate.cid)
        guard let loop = stream.loop else { return }
        let host = host(of: candidate, stream)
        let target = SOCKS5Dial.Target(host: host, port: candidate.port, digest: stream.theirDigest)
        stream.dials[cid] = SOCKS5Dial.start(
            target, on: loop, limits: limits, lookUps: lookUps, permits: stream.options.permits
        ) { [weak self] outcome in
            switch outcome {
            case .failed(let reason):
                self?.enqueue(number) { bytestreams, stream in
                    stream.dials[cid] = nil
                    stream.accounts[cid] = nil
                    stream.machine?.dialFailed(cid: cid, reason)
                    bytestreams.proceed(stream)
                }
            case .connected(let channel):
                guard let self else { return channel.close(promise: nil) }
                self.enqueue(number, with: channel) { $0.dialled(channel, cid, of: $1) }
            }
        }
    }

    /// Where a candidate of the peer is dialled, or why it is not.
    private func host(of candidate: SOCKS5Candidate, _ stream: SOCKS5Stream) -> DialTargets.Host {
        guard candidate.kind == .proxy ? stream.options.allowsProxy : stream.options.allowsDirect else {
            return .refused("its kind is switched off here")
        }
        let host = DialTargets.host(candidate, ownAddresses: stream.options.addresses())
        switch host {
        case .refused: return host
        case .addresses(let addresses):
            // What is refused without a packet tells nothing, and is not counted.
            let targets = DialTargets(addresses, most: limits.addressesPerDial, permits: stream.options.permits)
            if let refusal = targets.refusal { return .refused(refusal) }
        case .name: break
        }
        let target = DialBudget.Target(host: NumericAddress.canonical(candidate.host) ?? candidate.host, port: candidate.port)
        let verdict = budget.take(target, for: stream.peer.bare, at: clock())
        if case .refused(let reason) = verdict { return .refused(reason) }
        stream.accounts[candidate.cid] = (target, verdict == .counted)
        return host
    }

    private func dialled(_ channel: any Channel, _ cid: String, of stream: SOCKS5Stream) {
        stream.dials[cid] = nil
        if let account = stream.accounts.removeValue(forKey: cid) {
            budget.giveBack(account.target, to: stream.peer.bare, at: clock())
        }
        switch stream.machine?.dialled(cid: cid) {
        case .tell(let candidate):
            stream.dialled[cid] = channel
            tell(.used(cid: candidate.cid), stream)
        case .close, nil: channel.close(promise: nil)
        }
        proceed(stream)
    }

    // MARK: The conclusion

    private func follow(_ nomination: SOCKS5CandidatesStateMachine.OnNomination, _ stream: SOCKS5Stream) {
        switch nomination {
        case .useDialled(let candidate): open(stream, stream.dialled.removeValue(forKey: candidate.cid), candidate)
        case .useArrived(let candidate): open(stream, stream.arrived.removeValue(forKey: candidate.cid), candidate)
        case .useJoined(let candidate):
            open(stream, stream.joined, candidate)
        case .join(let candidate): join(candidate, of: stream)
        case .fail:
            let reasons = stream.report.candidates.map(\.description).joined(separator: ", ")
            let error = XMPPError(
                .noPath, "no way to \(stream.peer) works: \(reasons.isEmpty ? "no side offered one" : reasons)")
            owner?.failed(stream.number, error, tell: JingleReason("connectivity-error"))
        }
    }

    /// Connects to our own proxy as its requester, and activates the bytestream there (XEP-0065 §6.3).
    private func join(_ candidate: SOCKS5Candidate, of stream: SOCKS5Stream) {
        let number = stream.number
        guard let loop = stream.loop else { return }
        let host = DialTargets.host(candidate, ownAddresses: stream.options.addresses())
        stream.joining = SOCKS5Dial.start(
            SOCKS5Dial.Target(host: host, port: candidate.port, digest: stream.ourDigest), on: loop, limits: limits, lookUps: lookUps,
            permits: stream.options.permits
        ) { [weak self] outcome in
            switch outcome {
            case .failed(let reason): self?.enqueue(number) { $0.joinFailed($1, reason) }
            case .connected(let channel):
                guard let self else { return channel.close(promise: nil) }
                self.enqueue(number, with: channel) { bytestreams, stream in
                    stream.joined = channel
                    bytestreams.activate(candidate, of: stream)
                }
            }
        }
    }

    private func activate(_ candidate: SOCKS5Candidate, of stream: SOCKS5Stream) {
        let number = stream.number
        let activation = Element("activate", text: stream.peer.description)
        let query = Element(
            "query", namespace: Namespaces.bytestreams, attributes: ["sid": stream.sid], children: [activation])
        sink?.sendIQ(.set, to: candidate.jid, payload: query, timeout: limits.activation) { [weak self] result in
            guard let self, let stream = self.streams[number], stream.channel == nil else { return }
            switch result {
            case .success:
                if stream.machine?.joined() == true { self.tell(.activated(cid: candidate.cid), stream) }
                self.proceed(stream)
            case .failure(let error): self.joinFailed(stream, "not activated: \(error.stanzaError?.condition ?? error.message)")
            }
        }
    }

    private func joinFailed(_ stream: SOCKS5Stream, _ reason: String) {
        if stream.machine?.joinFailed(reason) == true { tell(.proxyFailed, stream) }
        proceed(stream)
    }
}

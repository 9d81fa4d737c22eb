/// What the end of a stream means for people, and for what to do next. A value: no clock, no socket.
extension StreamEnd {
    /// What helps.
    enum Remedy: Hashable {
        /// Nothing but trying again.
        case soon
        /// A person has to change something: a password, a certificate, an account.
        case person
        /// The server serves the account at another place (RFC 6120 §4.9.3.19).
        case elsewhere(XMPPConfiguration.Server)
    }

    struct Meaning {
        var error: XMPPError
        var remedy: Remedy
    }

    /// Where the attempt went, for people.
    struct Place: Hashable, Sendable {
        /// The account's domain.
        var domain: String
        /// The server of the configuration, or the one that the last server named.
        var server: XMPPConfiguration.Server?

        func text(_ login: LoginRecord) -> String {
            let port = server?.port ?? login.port
            let host = server?.host ?? login.host ?? domain
            let written = host.contains(":") ? "[\(host)]" : host
            return port.map { "\(written):\($0)" } ?? written
        }
    }

    /// The meaning for an attempt that came so far.
    func meaningOfAttempt(_ progress: XMPPSessionStateMachine.Progress, at place: Place) -> Meaning {
        let name = place.text(login)
        if let localFault { return Meaning(error: XMPPError(.configuration, localFault), remedy: .person) }
        if let fault = certificateFault {
            let text = "the certificate of \(name) is refused: "
            var error = XMPPError(.certificate, text + fault.text(domain: place.domain))
            error.timeless = text + fault.text(domain: place.domain, withClock: false)
            return Meaning(error: error, remedy: fault.kind == .notYetValid ? .soon : .person)
        }
        if let streamError { return meaning(ofStreamError: streamError, name, place) }
        if let refusal = login.bindRefusal {
            return Meaning(
                error: XMPPError(.unreachable, "\(name) gives the account no resource (\(refusal.description))"),
                remedy: refusal.isTemporary ? .soon : .person)
        }
        switch progress {
        case .started: return Meaning(error: XMPPError(.unreachable, connectingFailed(name, place)), remedy: .soon)
        case .reached: return Meaning(error: XMPPError(.unreachable, securingFailed(name)), remedy: .soon)
        case .secured: return loginFailed(name, place)
        }
    }

    /// The meaning for a stream that stood.
    func meaningOfLoss(at place: Place) -> Meaning {
        let name = place.text(login)
        switch streamError {
        case "conflict":
            let text = "another connection of the account took this resource: stop the other one, or give each its own resource"
            return Meaning(error: XMPPError(.conflict, text), remedy: .soon)
        case "see-other-host":
            var meaning = meaning(ofStreamError: "see-other-host", name, place)
            meaning.error.code = .connectionLost
            return meaning
        case let condition?:
            return Meaning(error: XMPPError(.connectionLost, "\(name) ended the stream (\(told(condition)))"), remedy: .soon)
        case nil:
            return Meaning(error: XMPPError(.connectionLost, "the connection to \(name) was lost"), remedy: .soon)
        }
    }

    // MARK: - Parts

    private func told(_ condition: String) -> String {
        streamErrorText.map { $0.isEmpty ? condition : "\(condition): \($0)" } ?? condition
    }

    private func meaning(ofStreamError condition: String, _ name: String, _ place: Place) -> Meaning {
        switch condition {
        case "host-unknown", "host-gone":
            let text = "\(name) does not serve \(place.domain) (\(told(condition)))"
            return Meaning(error: XMPPError(.unreachable, text), remedy: .soon)
        case "see-other-host":
            guard let other = otherHost.flatMap({ XMPPConfiguration.Server(written: $0, port: place.server?.port ?? login.port ?? 5222) })
            else {
                return Meaning(
                    error: XMPPError(.unreachable, "\(name) sends the account to another host and does not name it (see-other-host)"),
                    remedy: .soon)
            }
            let text = "\(name) sends the account to \(other.host):\(other.port) (see-other-host)"
            return Meaning(error: XMPPError(.unreachable, text), remedy: .elsewhere(other))
        case "not-authorized", "policy-violation":
            return Meaning(error: XMPPError(.notAuthorized, "\(name) refuses the account (\(told(condition)))"), remedy: .person)
        default:
            return Meaning(error: XMPPError(.unreachable, "\(name) ended the login (\(told(condition)))"), remedy: .soon)
        }
    }

    private func connectingFailed(_ name: String, _ place: Place) -> String {
        if let resolving { return "the name \(place.server?.host ?? login.host ?? place.domain) cannot be resolved (\(resolving))" }
        if login.hasTimedOut { return "\(name) does not answer (\(SystemWords.text(SystemWords.timedOut)))" }
        if let number = login.systemError, number != 0 { return "no connection to \(name) (\(SystemWords.text(number)))" }
        return "no connection to \(name)"
    }

    private func securingFailed(_ name: String) -> String {
        if let error = login.libraryError, error.hasPrefix("TLS is not supported") {
            return "\(name) offers no TLS, and nothing is sent without it"
        }
        if hasNoAnswer { return "\(name) took the connection and did not answer in time" }
        let reason = StreamEnd.tlsReason(login.libraryError).map { " (\($0))" } ?? ""
        return "\(name) took the connection, but TLS did not come about\(reason): is it the port of an XMPP server?"
    }

    private func loginFailed(_ name: String, _ place: Place) -> Meaning {
        if let refusal = login.loginRefusal {
            if refusal.isTemporary {
                return Meaning(error: XMPPError(.unreachable, "\(name) cannot log the account in now (\(refusal.description))"), remedy: .soon)
            }
            let text = "\(name) refuses the account or its password (\(refusal.description))"
            return Meaning(error: XMPPError(.notAuthorized, text), remedy: .person)
        }
        if !login.mechanisms.isEmpty, !login.offersProof, !hasPlainPassword || !login.offersPlain {
            let offered = login.mechanisms.joined(separator: ", ")
            let text =
                login.offersPlain
                ? "\(name) asks to be shown the password: of the login mechanisms that it offers (\(offered)) only PLAIN could be used, "
                    + "and the account does not allow it (sasl-plain: true)"
                : "\(name) offers no login mechanism that is known here: it offers \(offered); known are SCRAM-SHA-512, SCRAM-SHA-256, "
                    + "SCRAM-SHA-1, DIGEST-MD5"
            return Meaning(error: XMPPError(.notAuthorized, text), remedy: .person)
        }
        let text = hasNoAnswer ? "\(name) did not answer in time while logging in" : "\(name) ended the connection while logging in"
        return Meaning(error: XMPPError(.unreachable, text), remedy: .soon)
    }

    /// Whether the library waited in vain for an answer.
    private var hasNoAnswer: Bool {
        if error == SystemWords.timedOut || isCut { return true }
        return login.libraryError.map { $0.contains("did not reply") || $0.hasPrefix("Did not receive") } ?? false
    }

    /// The last part of OpenSSL's `error:0A00010B:SSL routines::wrong version number`.
    static func tlsReason(_ text: String?) -> String? {
        guard let text, let start = text.firstRange(of: "error:") else { return nil }
        let parts = text[start.lowerBound...].split(separator: ":")
        return parts.count >= 3 ? parts.last.map { $0.cut(toBytes: 80) } : nil
    }
}

extension XMPPConfiguration.Server {
    /// Reads `HOST`, `HOST:PORT` or `[IPv6]:PORT`, as see-other-host has it (RFC 6120 §4.9.3.19); nil for anything else.
    init?(written text: String, port: UInt16) {
        var host = Substring(text)
        var port = port
        guard host.utf8.count <= 300 else { return nil }
        if host.hasPrefix("["), let close = host.firstIndex(of: "]") {
            let rest = host[host.index(after: close)...]
            host = host[host.index(after: host.startIndex)..<close]
            if !rest.isEmpty {
                guard rest.hasPrefix(":"), let number = UInt16(rest.dropFirst()), number > 0 else { return nil }
                port = number
            }
        } else if host.filter({ $0 == ":" }).count == 1, let colon = host.firstIndex(of: ":") {
            guard let number = UInt16(host[host.index(after: colon)...]), number > 0 else { return nil }
            port = number
            host = host[..<colon]
        }
        let isClean = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"/@\\<>\"'".utf8.contains($0) }
        guard !host.isEmpty, isClean else { return nil }
        self.init(host: String(host), port: port)
    }
}

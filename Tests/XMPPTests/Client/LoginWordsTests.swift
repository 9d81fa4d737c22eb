import Testing

@testable import XMPP

/// What people read when a login or a connection did not come about: host, port, and what the system or the server said.
struct LoginWordsTests {
    private static let place = StreamEnd.Place(domain: "mesh.test", server: .init(host: "xmpp.mesh.test", port: 5222))
    private static let early = CertificateFault(
        reason: "certificate is not yet valid", validFrom: "Nov 30 00:00:00 2026 GMT", clock: "Jan  1 00:00:07 1970 GMT")
    private static let late = CertificateFault(reason: "certificate has expired", validUntil: "Oct 31 00:00:00 2026 GMT")
    private static let other = CertificateFault(reason: "hostname mismatch", names: ["a.test", "b.test"])
    private static let unknown = CertificateFault(reason: "unable to get local issuer certificate", issuer: "CN=Lab")

    private static func said(_ lines: (String, Bool)..., system: Int32 = 0) -> LoginRecord {
        var login = LoginRecord()
        for (line, isError) in lines { login.logged(line, isError: isError, systemError: system) }
        return login
    }

    @Test(arguments: [
        (
            StreamEnd(login: said(("sock_connect() to 192.0.2.1:5222 returned 7", false), ("connection failed, error 111", false))),
            .started, ["xmpp.mesh.test:5222", "Connection refused"]
        ),
        (
            StreamEnd(login: said(("sock_connect() to 2001:db8::1:5222 returned -1", false), system: 101), hadSocket: true), .started,
            ["xmpp.mesh.test:5222", "Network is unreachable"]
        ),
        (StreamEnd(login: said(("Connection attempt timed out.", false))), .started, ["xmpp.mesh.test:5222", "Connection timed out"]),
        (StreamEnd(resolving: "Name or service not known"), .started, ["xmpp.mesh.test", "Name or service not known"]),
        (StreamEnd(certificateFault: early), .reached, ["xmpp.mesh.test:5222", "valid from Nov 30 00:00:00 2026 GMT", "1970"]),
        (StreamEnd(certificateFault: late), .reached, ["valid until Oct 31 00:00:00 2026 GMT"]),
        (StreamEnd(certificateFault: other), .reached, ["a.test, b.test", "not for mesh.test"]),
        (StreamEnd(certificateFault: unknown), .reached, ["\"CN=Lab\"", "ca-file"]),
        (
            StreamEnd(login: said(("TLS error: error:0A00010B:SSL routines::wrong version number", true))), .reached,
            ["xmpp.mesh.test:5222", "(wrong version number)"]
        ),
        (StreamEnd(login: LoginRecord(mechanisms: ["GSSAPI", "EXTERNAL"])), .secured, ["GSSAPI, EXTERNAL", "SCRAM-SHA-512"]),
        (StreamEnd(login: LoginRecord(mechanisms: ["PLAIN"])), .secured, ["PLAIN", "sasl-plain: true"]),
        (
            StreamEnd(login: LoginRecord(loginRefusal: .init(condition: "account-disabled", text: "unpaid"))), .secured,
            ["account-disabled: unpaid"]
        ),
        (StreamEnd(login: LoginRecord(bindRefusal: .init(condition: "resource-constraint"))), .secured, ["resource-constraint"]),
        (StreamEnd(streamError: "host-unknown"), .reached, ["does not serve mesh.test", "host-unknown"]),
        (StreamEnd(streamError: "policy-violation", streamErrorText: "too many"), .reached, ["policy-violation: too many"]),
    ] as [(StreamEnd, XMPPSessionStateMachine.Progress, [String])])
    func errorsNameWhatTheyAreAbout(_ end: StreamEnd, _ progress: XMPPSessionStateMachine.Progress, _ parts: [String]) {
        let text = end.meaningOfAttempt(progress, at: Self.place).error.message
        for part in parts { #expect(text.contains(part), "\(text)") }
        #expect(!text.contains("error:0A"), "\(text)")
    }

    /// What is said once is told apart by this text: at each attempt the clock is another.
    @Test(arguments: [early, late, other, unknown])
    func theClockIsNoNews(_ fault: CertificateFault) {
        func error(at clock: String) -> XMPPError {
            var fault = fault
            fault.clock = clock
            return StreamEnd(certificateFault: fault).meaningOfAttempt(.reached, at: Self.place).error
        }
        let (first, second) = (error(at: "Jan  1 00:00:07 1970 GMT"), error(at: "Jan  1 00:00:09 1970 GMT"))
        #expect(first.timelessMessage == second.timelessMessage)
        #expect(!first.timelessMessage.contains("1970"))
        #expect(first.message.hasPrefix(first.timelessMessage))
        #expect(XMPPError(.unreachable, "no connection").timelessMessage == "no connection")
    }

    @Test func certificateWithoutDNSNamesIsCalledByItsSubject() {
        #expect(CertificateFault.commonName("/O=Lab/CN=xmpp.lab.example") == "xmpp.lab.example")
        #expect(CertificateFault.commonName("/O=Lab") == nil)
        #expect(CertificateFault.commonName(nil) == nil)
    }

    @Test func libraryLogIsReadAndCredentialsAreNot() {
        var login = LoginRecord()
        login.received(
            Element(
                "features",
                children: [
                    Element(
                        "mechanisms", namespace: Namespaces.sasl,
                        children: [Element("mechanism", text: "plain"), Element("mechanism", text: "X")])
                ]))
        #expect(login.mechanisms == ["PLAIN", "X"])
        #expect(login.offersPlain && !login.offersProof)
        // Mechanisms beside the element that the library reads do not count, or a server could make it show the password.
        login.received(
            Element("features", children: [Element("other", children: [Element("mechanism", text: "SCRAM-SHA-1")])]))
        #expect(!login.offersProof)
        login.received(
            Element(
                "failure", namespace: Namespaces.sasl, children: [Element("text", text: "no"), Element("account-disabled")]))
        #expect(login.loginRefusal?.description == "account-disabled: no")
        let error = Element(
            "error", attributes: ["type": "wait"], children: [Element("resource-constraint", namespace: Namespaces.stanzas)])
        var bound = LoginRecord()
        bound.received(Element("iq", attributes: ["type": "error"], children: [error]))
        #expect(bound.bindRefusal == .init(condition: "resource-constraint", isTemporary: true))
    }

    @Test func streamErrorsKeepTheirConditionAndText() {
        var end = StreamEnd()
        end.setStreamError(
            Element(
                "error",
                children: [
                    Element("unsupported-version", namespace: Namespaces.streamErrors),
                    Element("text", namespace: Namespaces.streamErrors, text: "1.0 only"),
                ]))
        #expect(end.streamError == "unsupported-version" && end.streamErrorText == "1.0 only")
        end.setStreamError(
            Element("error", children: [Element("see-other-host", namespace: Namespaces.streamErrors, text: " other.test:5333\n")]))
        #expect(end.otherHost == "other.test:5333")
    }
}

import Logging
import QiMessaging
import XMPP

/// How an account stands with its server: every outcome is a state, said once.
extension XMPPGateway {
    /// A file by what changes whenever it is edited, replaced or permitted; missing is such a state as well.
    struct FileMark: Equatable {
        let version: FileStatus.Version?
        let permissions: UInt32?

        init(_ path: String) {
            let status = FileStatus(path: path)
            version = status?.version
            permissions = status?.permissions
        }
    }

    /// The files that a login reads, as they are now.
    func fileMarks() -> [FileMark] { [account.passwordFile, account.caFile].compactMap { $0 }.map { FileMark($0) } }

    /// A file that a person mends is taken at once, also one that is mended while an attempt with the old one is under way.
    func watchFiles(since marks: [FileMark]) async {
        guard !marks.isEmpty else { return }
        var marks = marks
        while !Task.isCancelled {
            // Ends early only by cancellation, which the loop looks at.
            try? await Task.sleep(for: .seconds(1))
            let now = fileMarks()
            guard now != marks else { continue }
            marks = now
            client.tryNow()
        }
    }

    /// What to do about a refusal, beside what it says itself.
    func advice(on error: XMPPError) -> String? {
        switch error.code {
        case .notAuthorized where error.message.contains("PLAIN") || error.message.contains("mechanism"): nil
        case .notAuthorized:
            account.passwordFile.map { "the password is read again when \($0) changes" }
                ?? "set \(PasswordSource.variable), and start the node again"
        default: nil
        }
    }

    /// One line of the log per change, however often the same is tried again.
    func told(_ state: XMPPConnectionState) {
        let (word, reason): (String, XMPPError)
        switch state {
        case .waiting(_, let error): (word, reason) = ("not connected, and is tried again", error)
        case .refused(_, _, let error): (word, reason) = ("refused, and is tried again", error)
        case .online:
            noteReason(nil)
            return logger.info("online", metadata: ["xmpp.account": "\(own)"])
        case .idle, .connecting, .stopped: return
        }
        // The clock in a reason is no news.
        guard noteReason(reason.timelessMessage) else { return }
        var metadata: Logger.Metadata = ["xmpp.account": "\(own)", "error": "\(reason.message)"]
        if let advice = advice(on: reason) { metadata["try"] = "\(advice)" }
        logger.warning("an account is \(word)", metadata: metadata)
    }
}

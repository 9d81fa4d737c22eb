import QiMesh
import QiMessaging

/// What it takes to come in at a directory that asks who one is.
struct Entrance {
    /// nil: it is not asked for.
    var credentials: Credentials?
    /// What a `tcps` listener has to show.
    var check = Check.known

    enum Check: Hashable {
        /// The key that was pinned at the first login there.
        case known
        /// The certificate in this PEM file.
        case certificate(String)
        /// This key, from now on.
        case key(KeyFingerprint)
        /// Anything.
        case insecure
    }

    /// What to try after a refusal.
    func advice(_ directory: DirectoryCandidates, _ typed: TypedCommand?) -> String? {
        guard let url = directory.urls.first, url.hasPrefix("tcp") else { return nil }
        guard let credentials else {
            let words = typed?.words ?? ["ls", "--url", url]
            return ShellWord.joined(["qimesh"] + words + ["--user", "NAME", "--token-file", "FILE"])
        }
        return "on the robot, for a token: qimesh user add \(word: credentials.user)"
    }
}

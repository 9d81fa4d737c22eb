import QiMesh
import QiMessaging

/// What it takes to come in at a directory that asks who one is.
struct Entrance {
    /// nil: it is not asked for.
    var credentials: Credentials?
    /// The path of the certificate that has to be shown; nil: any will do, as libqi has it.
    var certificate: String?

    /// Says what a login without a certificate risks.
    func warn(_ directory: DirectoryCandidates, _ console: Console) {
        guard credentials != nil, certificate == nil, let url = directory.urls.first, url.hasPrefix("tcps:") else { return }
        console.note("whoever answers at \(url) gets the token, for its certificate is not checked; to check it: --certificate FILE")
    }

    /// What whoever was refused may try.
    func advice(_ directory: DirectoryCandidates, _ typed: TypedCommand?) -> String? {
        guard let url = directory.urls.first, url.hasPrefix("tcp") else { return nil }
        guard let credentials else {
            let words = typed?.words ?? ["ls", "--url", url]
            return ShellWord.joined(["qimesh"] + words + ["--user", "NAME", "--token-file", "FILE"])
        }
        return "on the robot, for a token: qimesh user add \(word: credentials.user)"
    }
}

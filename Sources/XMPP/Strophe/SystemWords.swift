import Glibc

/// What the system says about errors, and about files.
enum SystemWords {
    /// The number of a connection that was waited for in vain.
    static let timedOut = ETIMEDOUT

    /// The words for an error number.
    static func text(_ number: Int32) -> String {
        guard let text = strerror(number) else { return "error \(number)" }
        return String(cString: text)
    }

    /// Why a file cannot be read; nil when it can.
    static func unreadable(_ path: String) -> String? { access(path, R_OK) == 0 ? nil : text(errno) }
}

import Foundation

/// Input, output and errors of this process.
enum StandardDescriptors {
    /// Opens /dev/null for those that the caller closed: what is opened later would get their numbers, and be written to as if it were they.
    /// To be called before anything else is opened.
    static func openThoseClosed() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest number that is free is this one, as those below are open by now. Without /dev/null it stays closed.
            _ = open("/dev/null", O_RDWR)
        }
    }
}

import CQiSystem
import Glibc

/// Keeps what a process knows inside it: keys, passwords and tokens are in no core dump, and no other program of the same user reads
/// them out of its memory.
public enum ProcessSeal {
    /// Closes this process, until it ends: no core dumps, no ptrace(2) and no `/proc/PID/mem` but for root.
    ///
    /// - Throws: `system` when the kernel refuses.
    public static func close() throws(MeshError) {
        guard qimesh_seal_process() == 0 else {
            throw MeshError(.system, "core dumps cannot be forbidden: \(String(cString: strerror(errno)))")
        }
    }
}

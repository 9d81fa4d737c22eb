import CQiSystem
import Glibc
import NIOCore

/// Which user of this machine is at the other end of a TCP connection, as the kernel says (sock_diag(7)), or as /proc/net/tcp lists
/// where that cannot be asked. Asked on accept: 20 µs, and longer by the list only where a kernel has no sock_diag for TCP.
final class SocketOwners {
    enum Owner: Equatable {
        case user(UInt32)
        /// The peer is on another machine, or in another network namespace.
        case elsewhere
        /// The peer is on this machine, and its socket is gone, or cannot be found.
        case unknown
    }

    private let netlink = qimesh_open_sock_diag()
    private var questions: UInt32 = 0

    deinit { if netlink >= 0 { close(netlink) } }

    /// Of a channel that was accepted. Unix sockets tell by themselves (SO_PEERCRED).
    func owner(of channel: any Channel) -> Owner {
        guard let client = end(channel.remoteAddress), let server = end(channel.localAddress),
            client.0.bytes.count == server.0.bytes.count
        else { return .elsewhere }
        return owner(of: client, to: server)
    }

    private func end(_ address: SocketAddress?) -> (IPAddress, UInt16)? {
        guard let ip = address?.ipAddress.flatMap({ IPAddress($0) }), let port = address?.port else { return nil }
        return (ip, UInt16(port))
    }

    /// Of the socket at `client`, connected to `server`.
    func owner(of client: (IPAddress, UInt16), to server: (IPAddress, UInt16)) -> Owner {
        if let user = ask(client, server) { return .user(user) }
        // A peer with our own address is here, whether or not it is found.
        guard client.0.isLoopback || client.0 == server.0 else { return .elsewhere }
        if let user = SocketList.user(of: client, to: server) { return .user(user) }
        return .unknown
    }

    private func ask(_ client: (IPAddress, UInt16), _ server: (IPAddress, UInt16)) -> UInt32? {
        guard netlink >= 0 else { return nil }
        var user: UInt32 = 0
        let family = client.0.bytes.count == 4 ? AF_INET : AF_INET6
        questions &+= 1
        let found = qimesh_socket_user(netlink, family, client.0.bytes, client.1, server.0.bytes, server.1, questions, &user)
        return found == 1 ? user : nil
    }
}

/// /proc/net/tcp and /proc/net/tcp6 (proc(5)).
enum SocketList {
    /// Longer lists are not read to their end.
    private static let limit = 32 << 20

    static func user(of client: (IPAddress, UInt16), to server: (IPAddress, UInt16)) -> UInt32? {
        let wanted = (text(client), text(server))
        let files = client.0.bytes.count == 4 ? ["/proc/net/tcp", "/proc/net/tcp6"] : ["/proc/net/tcp6"]
        for file in files {
            let isMapped = file.hasSuffix("6") && client.0.bytes.count == 4
            let (from, to) = isMapped ? (mapped(wanted.0), mapped(wanted.1)) : wanted
            if let user = user(from, to, in: read(file)) { return user }
        }
        return nil
    }

    /// The user of the connected socket in a list; one without an inode is of no process any more.
    static func user(_ from: String, _ to: String, in list: String) -> UInt32? {
        for line in list.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count > 9, fields[1] == from, fields[2] == to, fields[3] != "0A", fields[9] != "0" else { continue }
            return UInt32(fields[7])
        }
        return nil
    }

    /// As the lists write an address: words of four bytes in the machine's order, and the port.
    static func text(_ end: (IPAddress, UInt16)) -> String {
        var text = ""
        for word in stride(from: 0, to: end.0.bytes.count, by: 4) {
            for byte in end.0.bytes[word..<word + 4].reversed() { text += hex(UInt16(byte), 2) }
        }
        return text + ":" + hex(end.1, 4)
    }

    private static func mapped(_ text: String) -> String { "0000000000000000FFFF0000" + text }

    private static func hex(_ value: UInt16, _ digits: Int) -> String {
        let text = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: digits - text.count) + text
    }

    private static func read(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count < limit {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

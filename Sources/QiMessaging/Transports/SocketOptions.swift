import Glibc
import NIOCore

/// What every TCP socket of ours is set to: no Nagle delay, and a silent peer is noticed within 30 s, for the protocol has
/// no ping (wire reference §1).
enum SocketOptions {
    private static let tcp: [(ChannelOptions.Types.SocketOption, ChannelOptions.Types.SocketOption.Value)] = [
        (ChannelOptions.tcpOption(.tcp_nodelay), 1),
        (ChannelOptions.socketOption(.so_keepalive), 1),
        (ChannelOptions.tcpOption(NIOBSDSocket.Option(rawValue: TCP_KEEPIDLE)), 10),
        (ChannelOptions.tcpOption(NIOBSDSocket.Option(rawValue: TCP_KEEPINTVL)), 5),
        (ChannelOptions.tcpOption(NIOBSDSocket.Option(rawValue: TCP_KEEPCNT)), 3),
        (ChannelOptions.tcpOption(NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT)), 25_000),
    ]

    static func apply(to channel: any Channel) throws {
        guard channel.localAddress?.ipAddress != nil, let options = channel.syncOptions else { return }
        for (option, value) in tcp { try options.setOption(option, value: value) }
    }
}

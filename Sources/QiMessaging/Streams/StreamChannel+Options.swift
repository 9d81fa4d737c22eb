import NIOCore

extension StreamChannel {
    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        if eventLoop.inEventLoop {
            return eventLoop.makeCompletedFuture { try SynchronousOptions(channel: self).setOption(option, value: value) }
        }
        return eventLoop.submit { try SynchronousOptions(channel: self).setOption(option, value: value) }
    }

    func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
        if eventLoop.inEventLoop {
            return eventLoop.makeCompletedFuture { try SynchronousOptions(channel: self).getOption(option) }
        }
        return eventLoop.submit { try SynchronousOptions(channel: self).getOption(option) }
    }

    var syncOptions: (any NIOSynchronousChannelOptions)? { SynchronousOptions(channel: self) }

    /// The options there are: `autoRead`, and half closure, which is always off.
    private struct SynchronousOptions: NIOSynchronousChannelOptions {
        let channel: StreamChannel

        func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) throws {
            channel.eventLoop.preconditionInEventLoop()
            switch (option, value) {
            case (is ChannelOptions.Types.AutoReadOption, let isOn as Bool):
                let wasOn = channel.autoRead
                channel.autoRead = isOn
                if isOn, !wasOn, channel.isActive { channel.pipeline.syncOperations.read() }
            case (is ChannelOptions.Types.AllowRemoteHalfClosureOption, false as Bool): break
            default: throw ChannelError.operationUnsupported
            }
        }

        func getOption<Option: ChannelOption>(_ option: Option) throws -> Option.Value {
            channel.eventLoop.preconditionInEventLoop()
            let value: Any? =
                switch option {
                case is ChannelOptions.Types.AutoReadOption: channel.autoRead
                case is ChannelOptions.Types.AllowRemoteHalfClosureOption: false
                default: nil
                }
            guard let value = value as? Option.Value else { throw ChannelError.operationUnsupported }
            return value
        }
    }
}

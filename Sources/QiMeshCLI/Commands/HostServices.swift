import ArgumentParser
import Foundation
import QiMesh
import QiMessaging
import UnixSignals

/// `qimesh host`: a program here whose services are a device's.
struct HostServices: WaitingVerb {
    static let configuration = CommandConfiguration(
        commandName: "host",
        abstract: "Run a command whose services are in a device's own directory, under their plain names.",
        discussion: """
            The command registers with a directory of its own, which is the device's: programs there call its services as they call \
            their own, and it finds those of the device under their plain names. The device's policy has to allow that (`register`), \
            and no service there may have the name; a refusal ends the command. A service is gone there within two seconds when the \
            command ends. When only the path is lost, the device keeps the name (paths.return-time there), and the service is \
            registered again.

            The command learns where its directory is from $QI_URL, which libqi's qi.Application and ApplicationSession read, and from \
            {url} in its arguments, for others: qimesh host pepper -- python3 vision.py --qi-url {url}

            Exit status: that of the command, 128 and the number of the signal that ended it; 125: hosting failed, 126: the command \
            cannot be started, 127: there is no such command. SIGINT, SIGTERM, SIGHUP and SIGQUIT go on to the command.
            """)

    @Argument(help: "The nickname or JID of the device.")
    var device: String

    @Option(help: "Where the command's directory listens; port 0 takes a free one; internal.users says whose programs are let in.")
    var listen = "tcp://127.0.0.1:0"

    @Argument(parsing: .postTerminator, help: "The command and its arguments, behind --; {url} is its directory.")
    var command: [String] = []

    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func validate() throws {
        guard command.first?.isEmpty == false else { throw ValidationError("no command is given: qimesh host DEVICE -- COMMAND…") }
    }

    func run() async throws {
        let console = output.console
        let code: Int32
        do throws(CommandFailure) {
            code = try await host(console).code
        } catch {
            console.failure(error)
            throw ExitCode(125)
        }
        throw ExitCode(code)
    }

    func perform(_ console: Console) async throws(CommandFailure) { _ = try await host(console) }

    private func host(_ console: Console) async throws(CommandFailure) -> ChildProcess.Status {
        let request = try TunnelRequest(device, at: listen)
        guard request.endpoint.isLoopback else {
            throw .usage("the command's directory is for this machine alone, and \(listen) is not", hint: "qimesh help host")
        }
        return try await withControl(console) { (control, session) async throws(CommandFailure) in
            let watch = try await HostedWatch(control)
            defer { watch.end() }
            let opened = try await request.open(control, session, ticket: watch.ticket, wait: wait)
            console.detail("\(opened.device) by \(opened.path), at \(opened.url)")
            return try await run(at: opened.url, session, watch, console)
        }
    }

    private enum End: Sendable {
        case command(ChildProcess.Status?)
        case failed(CommandFailure?)
        /// What says nothing of the end.
        case passing
    }

    private func run(
        at url: String, _ session: NodeSession, _ watch: HostedWatch, _ console: Console
    ) async throws(CommandFailure) -> ChildProcess.Status {
        // Before the command can make us wait for it.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup, .sigquit)
        let child: ChildProcess
        do throws(CommandFailure) { child = try start(at: url) } catch {
            console.failure(error)
            // As env(1) and nohup(1) do.
            return .exited(error.code == .notFound ? 127 : 126)
        }
        let device = self.device
        let end = await withTaskGroup(of: End.self) { group in
            group.addTask { .command(await child.ended()) }
            group.addTask { .failed(await session.ended()) }
            group.addTask { await Self.forward(signals, to: child) }
            group.addTask { .failed(await Self.refusal(in: watch, at: device, console)) }
            var first = End.passing
            while case .passing = first { first = await group.next() ?? .failed(nil) }
            if case .failed = first {
                child.signal(SIGTERM)
                // A command that takes no notice is ended for good.
                group.addTask {
                    try? await Task.sleep(for: .seconds(5))
                    if !Task.isCancelled { child.signal(SIGKILL) }
                    return .passing
                }
                for await next in group { if case .command = next { break } }
            }
            group.cancelAll()
            return first
        }
        switch end {
        case .command(let status?): return status
        case .command(nil), .passing: throw CommandFailure(.cancelled, "interrupted")
        case .failed(let failure): throw failure ?? CommandFailure(.closed, "the tunnel to \(device) was closed", device: device)
        }
    }

    /// Passes signals on. What is typed at a terminal reaches the command by itself, for it is in our process group.
    private static func forward(_ signals: UnixSignalsSequence, to child: ChildProcess) async -> End {
        let isTyped = isatty(STDIN_FILENO) == 1
        for await signal in signals where !isTyped || signal != .sigint && signal != .sigquit { child.signal(signal.rawValue) }
        return .passing
    }

    private func start(at url: String) throws(CommandFailure) -> ChildProcess {
        var variables = environment
        variables["QI_URL"] = url
        variables["QIMESH_URL"] = url
        return try ChildProcess(command.map { $0.replacing("{url}", with: url) }, environment: variables)
    }

    /// Tells what becomes of services; returns with the first that the device refuses.
    private static func refusal(in watch: HostedWatch, at device: String, _ console: Console) async -> CommandFailure? {
        for await news in watch.news {
            if case .refused(let service, let why) = news {
                return CommandFailure(.denied, "\(service) is not hosted: \(why)", hint: "there: qimesh audit --denied", device: device)
            }
            console.note(news.text(at: device))
        }
        return nil
    }
}

import ArgumentParser
import QiMesh

/// `qimesh`.
struct QiMeshCommand: AsyncParsableCommand {
    /// Of the command and the node in it.
    static let version = MeshNode.version

    static let configuration = CommandConfiguration(
        commandName: "qimesh",
        abstract: "One qiMessaging bus across devices that find each other by XMPP.",
        discussion: """
            A target is [DEVICE/]Service[.member]; DEVICE is a nickname, a JID or the URL of a directory. Arguments of calls are \
            JSON, a bare word is a string, @FILE reads JSON from a file, @raw:FILE sends its bytes.

            Exit status: 0 done, 1 the remote method raised an error or something else failed, 2 wrong usage, 3 not found, 4 not allowed or login failed, \
            5 offline, 6 timed out, 7 configuration invalid, 8 not as required, 130 interrupted.
            """,
        version: version,
        subcommands: [
            Up.self, Status.self, Devices.self, Ping.self, Path.self, Enroll.self, Pair.self, Invite.self, Approve.self, Deny.self, Revoke.self,
            Identity.self, Trust.self, App.self, Policy.self, Audit.self, PublicDoor.self, Users.self,
            ListServices.self, Info.self, Call.self, GetProperty.self, SetProperty.self, Watch.self, Tunnel.self, HostServices.self,
            Generate.self, Version.self,
        ])
}

/// `qimesh version`.
struct Version: Verb {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "The version of this command.")

    @OptionGroup var output: OutputOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        if console.json {
            console.done(.object([("version", .string(QiMeshCommand.version))]))
        } else {
            console.line("qimesh \(QiMeshCommand.version)")
        }
    }
}

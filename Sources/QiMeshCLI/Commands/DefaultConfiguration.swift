import Foundation
import QiMesh

/// The configuration file that the first `qimesh up` writes.
enum DefaultConfiguration {
    /// Everything is a comment: it says what could be said, and changes nothing. A setting has no blank, or more than one,
    /// behind its `#`, so that removing the `#` is enough.
    static let text = """
        # QiMesh, this device's node. Every setting is optional; without any, the node is a local bus.
        # To use one, remove the # in front of it and of the section above it.

        #device:
        #  name: pepper                       # shown to others
        #  model: Pepper 1.8
        #  naoqi: tcp://127.0.0.1:9559        # NAOqi's directory, here or on the robot: its services are this device's
        # Another board of a robot has in the place of naoqi: role: member, and its master's directory: tcp://10.0.1.1:9559

        # An account on any XMPP server makes the bus a mesh. Restart `qimesh up`, or send it SIGHUP, then: qimesh invite JID --name NAME
        #xmpp:
        #  - jid: pepper@robots.example
        #    password-file: pepper.pw         # mode 0600, beside this file; or $QIMESH_XMPP_PASSWORD
        #    accept: ["*@robots.example"]     # contacts taken without asking

        # Where the directory listens beside its own unix socket.
        #internal:
        #  listen: ["tcp://127.0.0.1:9559"]
        #  users: own                       # whose programs on this machine may use the TCP port: own, all, or [lab, 1001]

        # The public door, for clients on other networks: one address for all services. Who may come in: qimesh user add NAME;
        # what they may do: policy.yaml.
        #gateway:
        #  listen: ["tcps://0.0.0.0:9503"]
        #  advertise: ["tcps://pepper.lab.example:9503"]   # where the door is seen from outside, if not there
        #  naoqi: tcp://127.0.0.1:9557                     # serve this directory instead of our own

        #policy: policy.yaml                 # who may do what; by default the file of that name beside this one, if there is one
        #paths: { order: [direct, proxy, in-band], resume: 2m, return-time: 60s, in-band-max: 256kB }   # to other devices, best first
        #groups: { vision: ["vision-*"] }    # contacts that offer the same services: one of them answers vision/Detector
        #limits: { calls-per-peer: 1024, payload: 50MB, path-loss: 30s, stop: 5s }
        #log: { level: info }

        """

    /// Writes the file where it is looked for first, unless one exists anywhere, and says what it is for. Not being able to is
    /// no reason not to run.
    static func offer(_ paths: MeshPaths, _ console: Console) {
        guard !paths.configurationIsExplicit, let path = paths.configurationCandidates.first else { return }
        do {
            let directory = URL(fileURLWithPath: path).deletingLastPathComponent()
            try FileManager.default.createDirectory(
                at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            // Never over a file that another process made meanwhile, and for this user alone to change, whatever the umask is.
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
            try FileHandle(fileDescriptor: descriptor, closeOnDealloc: true).write(contentsOf: Data(text.utf8))
            console.note("no configuration: a local bus only; to add an account, edit \(path)")
        } catch {
            console.note("no configuration: a local bus only; \(path) could not be written, so write it to add an account")
        }
    }
}

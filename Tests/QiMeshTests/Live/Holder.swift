import Foundation
import Testing

/// `holder.py`: a libqi client that looked a service up once and subscribed to its `spoken` once.
final class Holder {
    /// What it writes; one of these is set.
    struct Line: Decodable, Equatable {
        var answer: String?
        var error: String?
        var event: String?
        var removed: String?
    }

    private let peer: PythonPeer

    init(_ service: String, on node: LiveNode) async throws {
        peer = try PythonPeer("holder.py", ["--url", try await node.url(), "--service", service], home: node.home)
        try await expect(Line(answer: "ready"))
    }

    func next() async throws -> Line { try JSONDecoder().decode(Line.self, from: Data(try await peer.requiredLine().utf8)) }

    /// The next line has to be that one: nothing came twice, and nothing came that should not.
    func expect(_ line: Line, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let next = try await next()
        #expect(next == line, sourceLocation: sourceLocation)
    }

    func lookUp(_ name: String) { peer.send(#"{"look-up": "\#(name)"}"#) }

    func call(_ method: String, _ argument: String) { peer.send(#"{"call": "\#(method)", "arguments": ["\#(argument)"]}"#) }

    /// Echoes a text until it comes back, through whatever errors a path that is not there yet gives.
    func untilAnswered() async throws {
        _ = try await eventually("an answer to the holder") {
            call("echo_string", "there")
            let line = try await next()
            if let error = line.error { #expect(error.contains("pepper"), "an error that names no device: \(error)") }
            return line == Line(answer: "there") ? true : nil
        }
    }

    /// Ends it; nothing may be left to say.
    func end() async {
        peer.end()
        let rest = await peer.line()
        #expect(rest == nil)
        #expect(await peer.ended() == 0)
    }
}

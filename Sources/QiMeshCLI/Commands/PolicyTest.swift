import ArgumentParser
import QiMesh

/// `qimesh policy test`.
struct PolicyTest: PolicyVerb {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Compare the policy with a table of expectations.",
        discussion: """
            The table is YAML, one expectation a line:

              - { who: op@lab.example, target: ALMotion.moveTo, expect: deny, rule: 2 }
              - { who: "zone:lan", target: ALTextToSpeech.say, expect: deny }

            Exit status 8: an expectation is not met.
            """)

    @Argument(help: "The table of expectations.") var expectations: String

    @OptionGroup var policy: PolicyOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    private struct Outcome: Sendable {
        let expectation: PolicyExpectations.Expectation
        let answer: PolicyAnswer
        let complaint: String?
    }

    func run() async throws {
        let console = output.console
        let isMet: Bool
        do throws(CommandFailure) {
            isMet = try await test(console)
        } catch {
            console.failure(error)
            throw ExitCode(error.code.exitStatus)
        }
        guard isMet else { throw ExitCode(CommandFailure.Code.unmet.exitStatus) }
    }

    func perform(_ console: Console) async throws(CommandFailure) { _ = try await test(console) }

    private func test(_ console: Console) async throws(CommandFailure) -> Bool {
        let table: PolicyExpectations
        do throws(MeshError) { table = try PolicyExpectations.load(expectations) } catch { throw CommandFailure(error) }
        let outcomes = try await withPolicy(console) { (source) async throws(CommandFailure) -> [Outcome] in
            var outcomes: [Outcome] = []
            for expectation in table.expectations {
                let answer = try await source.answer(
                    expectation.question, who: expectation.who, target: expectation.target, action: expectation.action,
                    zone: expectation.zone.nilIfEmpty, at: expectation.time)
                let complaint = expectation.complaint(about: answer.allowed, answer.rule)
                outcomes.append(Outcome(expectation: expectation, answer: answer, complaint: complaint))
            }
            return outcomes
        }
        let unmet = outcomes.filter { $0.complaint != nil }
        if console.json {
            console.document(Self.json(outcomes, isMet: unmet.isEmpty))
        } else {
            for outcome in unmet { console.line(Printable.line(Self.line(outcome, in: expectations))) }
            let count = outcomes.count == 1 ? "1 expectation" : "\(outcomes.count) expectations"
            console.line("\(count): \(outcomes.count - unmet.count) met, \(unmet.count) not")
        }
        return unmet.isEmpty
    }

    private static func line(_ outcome: Outcome, in path: String) -> String {
        let expectation = outcome.expectation
        return "\(path):\(expectation.line): \(expectation.who) \(expectation.action) \(expectation.target): "
            + "\(outcome.complaint ?? "")  [\(outcome.answer.text)]"
    }

    private static func json(_ outcomes: [Outcome], isMet: Bool) -> JSONValue {
        .object([
            ("ok", .bool(isMet)), ("total", .integer(Int64(outcomes.count))),
            ("met", .integer(Int64(outcomes.count { $0.complaint == nil }))),
            (
                "unmet",
                .array(
                    outcomes.filter { $0.complaint != nil }.map { outcome in
                        let expectation = outcome.expectation
                        return .object([
                            ("line", .integer(Int64(expectation.line))), ("who", .string(expectation.who)),
                            ("action", .string(expectation.action)), ("target", .string(expectation.target)),
                            ("complaint", .string(outcome.complaint ?? "")), ("answer", PolicyCheck.json(outcome.answer)),
                        ])
                    })
            ),
        ])
    }
}

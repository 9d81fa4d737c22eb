"""What the documentation says of tests is true: each one it names exists."""
import re

import pytest
from homes.processes import ROOT

MODEL = ROOT / "Sources/QiMesh/Documentation.docc/ThreatModel.md"


def sources(pattern):
    return {path: path.read_text() for path in (ROOT / "Tests").rglob(pattern) if ".build" not in path.parts}


@pytest.fixture(scope="module")
def swift():
    return sources("*.swift")


def named():
    rows = [line for line in MODEL.read_text().splitlines() if line.startswith("|") and not set(line) <= set("| -")]
    return sorted({name for row in rows for name in re.findall(r"`([A-Za-z_]+(?:Tests(?:\.\w+)?|\.py::\w+))`", row.split("|")[-2])})


def test_the_model_names_tests():
    assert len(named()) > 40


def test_every_line_names_one_or_says_that_there_is_none():
    rows = [line for line in MODEL.read_text().splitlines()
            if line.startswith("| ") and "Shown by" not in line and not set(line) <= set("| -")]
    assert rows and [row for row in rows if not re.search(r"\| (`|–)", row)] == []


@pytest.mark.parametrize("name", named())
def test_it_exists(name, swift):
    if "::" in name:
        file, function = name.split("::")
        assert "def %s(" % function in (ROOT / "Tests/EndToEnd" / file).read_text()
        return
    suite, _, function = name.partition(".")
    files = [text for text in swift.values() if re.search(r"\b(struct|enum|class) %s\b" % suite, text)]
    assert files, "no suite " + suite
    if function:
        assert any(re.search(r"func %s\(" % function, text) for text in files), "no test %s in %s" % (function, suite)


def test_every_room_that_the_readers_walk_names_is_there():
    walk = (ROOT / "Sources/QiMesh/Documentation.docc/ReadersWalk.md").read_text()
    rooms = set(re.findall(r"`([A-Za-z]+(?:/[A-Za-z+]+)+)`", walk))
    assert len(rooms) > 40
    there = {path.relative_to(ROOT / "Sources").with_suffix("").as_posix() for path in (ROOT / "Sources").rglob("*")
             if path.is_dir() or path.suffix == ".swift"}
    assert [room for room in sorted(rooms) if not any(("/" + path).endswith("/" + room) for path in there)] == []

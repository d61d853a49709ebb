"""Feed mutated streams to both decoders and judge the verdicts that come out.

    python benchmarks/fuzz_decoders.py [--streams N] [--seed N]

Everything is drawn from the seed, which is printed first: equal seeds give equal streams. A stream
on which a decoder raises, loses output or depends on how it was cut, or which ``judge`` refuses,
ends the run with exit code 1 and is written to a file that the message names.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from pytest_gotest._events import Event, JsonDecoder, RawDecoder
from pytest_gotest._outcome import PackageRun, benchmark_result, result_of

STREAMS = Path(__file__).parent.parent / "tests" / "streams"
LONGEST = 4096  # bytes of one mutated stream
MARKS = b"\x16\x0f\x0e\x1b"
TOKENS = (
    b"\x16",
    b"\x0f",
    b"\x0f    ",
    b"\x0e\n",
    b"\x1b",
    b"\x1b\x16",
    b"\x1b\x1b",
    b"\n",
    b"\r\n",
    b"\x16=== RUN   TestNew\n",
    b"\x16=== NAME  \n",
    b"\x16=== PAUSE TestPass\n",
    b"\x16=== CONT  TestPass\n",
    b"\x16=== ATTR  TestPass key value\n",
    b"\x16--- PASS: TestPass (0.00s)\n",
    b"\x16--- FAIL: TestPass (1e999s)\n",
    b"\x16--- BENCH: BenchmarkX-2\n",
    b"\x16PASS\n",
    b"\x16FAIL\n",
    b"x" * 1500,
    b"\xe2\x82",
    b"\xff",
    b"{",
    b"}\n",
    b'{"Action":"output","Package":"p","Test":"T","Output":"x\\ud800\\n"}\n',
    b'{"Action":"fail","Package":"p","Test":"T","Elapsed":NaN}\n',
    b'{"Action":7}\n',
)


def judge(events: Sequence[Event]) -> None:
    """The outcome logic may not raise, lose a verdict or invent one."""
    run = PackageRun("p")
    last: dict[str, str] = {}
    for event in events:
        run.feed(event)
        if event.test and event.action in ("pass", "fail", "skip", "bench"):
            last[event.test] = event.action
    for name, record in run.tests.items():
        if name.startswith("Benchmark"):
            benchmark_result(record, ok=True)
            continue
        result = result_of(record)
        seen = {name: result.verdict, **{f"{name}/{s.name}": s.verdict for s in result.subtests}}
        for test, verdict in seen.items():
            if last.get(test) in (None, "fail"):
                assert verdict == "fail", (
                    f"{test}: {verdict}, and its last word is {last.get(test)}"
                )
            else:
                assert verdict in ("pass", "fail", "skip")
    missing = {test for test in last if test.partition("/")[0] not in run.tests}
    assert not missing, f"lost: {missing}"


def pieces(patterns: str) -> list[bytes]:
    """Windows of whole lines, cut out of all recorded streams of that kind."""
    found = []
    for path in sorted(STREAMS.glob(patterns)):
        window = b""
        for line in path.read_bytes().splitlines(keepends=True):
            window += line
            if len(window) > LONGEST // 4:
                found.append(window[-LONGEST:])
                window = b""
        found.append(window)
    return found


def mutated(corpus: Sequence[bytes], rng: random.Random) -> bytes:
    """One stream: some windows joined, then up to eight small changes."""
    stream = bytearray(b"".join(rng.choices(corpus, k=rng.randint(1, 3))))
    for _ in range(rng.randint(0, 8)):
        at = rng.randint(0, len(stream))
        size = rng.choice((1, 1, 2, 5, 30, 300))
        kind = rng.randrange(6)
        if kind == 0:
            del stream[at : at + size]
        elif kind == 1:
            stream[at:at] = rng.choice(TOKENS)
        elif kind == 2:
            stream[at : at + 1] = rng.randbytes(1)
        elif kind == 3:
            stream[at:at] = stream[at : at + size]
        elif kind == 4:
            del stream[at:]
        else:
            other = rng.randint(0, len(stream))
            stream[other:other] = stream[at : at + size]
    return bytes(stream)


def cuts(stream: bytes, rng: random.Random) -> Iterator[bytes]:
    """``stream`` in chunks of random sizes, none empty."""
    size = rng.choice((1, 7, 100, 1000, 5000))
    at = 0
    while at < len(stream):
        step = rng.randint(1, size)
        yield stream[at : at + step]
        at += step


def decoded(decoder: RawDecoder | JsonDecoder, chunks: Iterator[bytes]) -> list[Event]:
    """All events of one stream."""
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.close()


def merged(events: Sequence[Event]) -> list[tuple[str, ...]]:
    """Events with neighbouring outputs of one test and type as one."""
    keys = groupby(events, lambda e: (e.action, e.package, e.test, e.output_type, e.key, e.value))
    result: list[tuple[str, ...]] = []
    for key, group in keys:
        if key[0] == "output":
            result.append((*key, "".join(event.output for event in group)))
        else:
            result.extend(key for _ in group)
    return result


def check(make: Callable[[], RawDecoder | JsonDecoder], stream: bytes, rng: random.Random) -> None:
    """Raise AssertionError, or whatever the decoder raises, if ``stream`` is not decoded well."""
    whole = decoded(make(), iter([stream]))
    if isinstance(make(), RawDecoder):
        assert merged(whole) == merged(decoded(make(), cuts(stream, rng))), "cuts change events"
        if not any(mark in stream for mark in MARKS):
            text = stream.decode(errors="surrogateescape")
            size = sum(len(event.output) for event in whole)
            assert size == len(text), "output is lost"
    else:
        assert whole == decoded(make(), cuts(stream, rng)), "cuts change events"
    for event in whole:
        event.output.encode()
        event.test.encode()
    judge(whole)


def main() -> int:
    """Fuzz until so many streams are through, or one is not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    rng = random.Random(seed)
    corpora = {"raw": pieces("*.raw"), "json": pieces("*.jsonl")}
    start = shown = time.monotonic()
    for number in range(1, options.streams + 1):
        kind = "json" if number % 4 == 0 else "raw"
        other = kind if rng.random() < 0.9 else "raw"
        stream = mutated(corpora[other], rng)
        escapes = rng.random() < 0.5

        def make(kind: str = kind, escapes: bool = escapes) -> RawDecoder | JsonDecoder:
            if kind == "json":
                return JsonDecoder(longest=2000)
            return RawDecoder("example.test/p", lambda: 0.0, escapes=escapes)

        try:
            check(make, stream, rng)
        except Exception as error:  # whatever it is, it is what we look for
            with tempfile.NamedTemporaryFile("wb", suffix=f".{kind}", delete=False) as file:
                file.write(stream)
            message = f"stream {number} (escapes={escapes}) kept in {file.name}"
            print(f"{message}: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{number} streams, {number / (shown - start):.0f}/s", flush=True)
    print(f"{options.streams} streams, no finding")
    return 0


if __name__ == "__main__":
    sys.exit(main())

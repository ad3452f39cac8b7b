"""Reads and writes a bundle's file, line by line; a line that is not the one that was written is found and named."""

import io
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, TypeVar

from pydantic import ValidationError
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from hookline.audit.bundle import (
    PIPELINES,
    LastLine,
    Section,
    dump_header,
    dump_last,
    dump_record,
    hash_of,
    load_header,
    load_record,
    section_of,
)
from hookline.audit.source import Extent, Origin, PartitionSource
from hookline.errors import BundleBroken, ConfigError
from hookline.explain import faults_of
from hookline.log.records import LOGS, RawRecord, Topic

__all__ = ["BundleSource", "BundleWriter"]

T = TypeVar("T")

CHUNK = 100
"""Most records delivered at once."""
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes; a record of 4 MiB with every letter escaped is shorter."""
LEVEL = 6


class BundleWriter:
    """A new file, readable by its owner only: it holds what the topics hold, hook URLs and payloads included."""

    def __init__(self, file: IO[bytes], origin: Origin) -> None:
        self._out = ZstdCompressor(level=LEVEL, write_checksum=True).stream_writer(file, closefd=False)
        self._records = 0
        header = dump_header(origin)
        sections: list[Section] = [PIPELINES, *map(str, range(origin.partitions))]
        self._last = dict.fromkeys(sections, hash_of(header))
        self._write(header)

    def add(self, raw: RawRecord) -> None:
        """Sections follow each other: all of `pipelines`, then partition by partition."""
        section = section_of(raw.place)
        line = dump_record(raw, self._last[section])
        self._last[section] = hash_of(line)
        self._records += 1
        self._write(line)

    def finish(self) -> tuple[LastLine, str]:
        """The last line, and its hash: the seal."""
        last = LastLine(records=self._records, last=self._last)
        line = dump_last(last)
        self._write(line)
        self._out.close()  # type: ignore[no-untyped-call]
        return last, hash_of(line)

    def _write(self, line: bytes) -> None:
        self._out.write(line + b"\n")


class BundleSource:
    """`hookline.audit.source.Source` over a bundle; use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError where there is no such file, BundleBroken."""
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from None
        self.size = path.stat().st_size
        """Bytes, compressed."""
        self._lines = _Lines(path, self._file)
        header = self._lines.next()
        self.origin: Origin = self._lines.explained(load_header, header)
        self._last = {PIPELINES: (hash_of(header), 1)}
        """Of each section begun: the hash of its last line, and that line's number."""
        for number in range(self.origin.partitions):
            self._last[str(number)] = self._last[PIPELINES]
        self._records = 0
        self._ahead: RawRecord | None = None
        self._section: Section = ""
        """That of the record ahead."""
        self._end: LastLine | None = None
        self.seal = ""
        """The hash of the last line, once everything was read."""
        self._advance()
        self.pipelines: Sequence[RawRecord] = list(self.section(PIPELINES))

    def __enter__(self) -> "BundleSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    async def close(self) -> None:
        self._file.close()

    async def partitions(self, only: Collection[int] | None = None) -> AsyncIterator[PartitionSource]:
        """Raises BundleBroken; the last of it is checked when the last partition was read."""
        for number, extent in enumerate(self.origin.extents):
            if only is None or number in only:
                yield _Partition(self, number, extent)
            deque(self.section(str(number)), maxlen=0)  # what was not asked for is checked, too
        self._check_end()

    def section(self, section: Section) -> Iterator[RawRecord]:
        """The records from here on that belong to it. Raises BundleBroken."""
        while (raw := self.take(section)) is not None:
            yield raw

    def take(self, section: Section) -> RawRecord | None:
        """The record ahead, if it belongs to that section. Raises BundleBroken for the line behind it."""
        raw = self._ahead if self._section == section else None
        if raw is not None:
            self._advance()
        return raw

    def is_ahead(self, topic: Topic) -> bool:
        """Is the next record one of that topic?"""
        return self._ahead is not None and self._ahead.place.topic is topic

    def _advance(self) -> None:
        """Read and check a line: a record, or the last line."""
        line = self._lines.next()
        if line.startswith(b'{"records"'):
            self._ahead, self._end = None, self._lines.explained(LastLine.model_validate_json, line)
            self.seal = hash_of(line)
            return
        raw, previous = self._lines.explained(load_record, line)
        section = section_of(raw.place)
        expected, number = self._last.get(section, ("", 0))
        if previous != expected:
            self._lines.broken(
                f"it does not follow line {number}, as it should: line {number} was changed, or lines were cut out,"
                " inserted or moved"
            )
        self._last[section] = (hash_of(line), self._lines.number)
        self._records += 1
        self._ahead, self._section = raw, section

    def _check_end(self) -> None:
        end = self._end
        if end is None:
            self._lines.broken("a record is outside its section: lines were moved")
        for section, (hash_there, number) in self._last.items():
            if end.last.get(section) != hash_there:
                self._lines.broken(
                    f"the last line of {_named(section)} is not the one that stands at line {number}: it was changed, or"
                    " lines behind it were cut out"
                )
        if end.records != self._records:
            self._lines.broken(f"there should be {end.records} records, and there are {self._records}")
        self._lines.check_over()


class _Partition:
    """`hookline.audit.source.PartitionSource` over a section."""

    def __init__(self, source: BundleSource, number: int, extent: Extent) -> None:
        self.number = number
        self.extent = extent
        self._source = source
        self._section = str(number)
        self._read: dict[Topic, deque[RawRecord]] = {t: deque() for t in (*LOGS, Topic.SNAPSHOTS)}
        self._next = {topic: extent.span(topic).start for topic in self._read}

    async def more(self, topic: Topic) -> Sequence[RawRecord]:
        """Raises BundleBroken."""
        read = self._read[topic]
        while not read and self._next[topic] < self.extent.span(topic).end and self._take():
            pass
        # And what follows directly, as it was written.
        while len(read) < CHUNK and self._source.is_ahead(topic) and self._take():
            pass
        return [read.popleft() for _ in range(min(CHUNK, len(read)))]

    def _take(self) -> bool:
        raw = self._source.take(self._section)
        if raw is None:
            return False
        self._read[raw.place.topic].append(raw)
        self._next[raw.place.topic] = raw.next_offset
        return True


class _Lines:
    """The lines of a compressed file, and words for what is wrong with one."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.number = 0
        """Of the line that was read last, from 1."""
        self._path = path
        raw = ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
        self._text = io.BufferedReader(raw, 1024 * 1024)

    def next(self) -> bytes:
        """Without its newline. Raises BundleBroken at the end of the file."""
        line = self._read()
        self.number += 1
        if not line:
            self.broken("the file ends before its last line: it was cut, or its export did not finish")
        if not line.endswith(b"\n"):
            self.broken("the line is cut, or longer than any that is written")
        return line[:-1]

    def check_over(self) -> None:
        if self._read():
            self.number += 1
            self.broken("there is something after the last line")

    def explained(self, load: Callable[[bytes], T], line: bytes) -> T:
        """What `load` makes of the line. Raises BundleBroken."""
        try:
            return load(line)
        except ValidationError as error:
            where = ".".join(map(str, faults_of(error)[0].where)) or "JSON"
            self.broken(f"it is not a line of a bundle ({where})")
        except ValueError:
            self.broken("it is not a line of a bundle")

    def broken(self, said: str) -> NoReturn:
        raise BundleBroken(f"{self._path}, line {self.number}: {said}")

    def _read(self) -> bytes:
        try:
            return self._text.readline(LONGEST_LINE)
        except ZstdError as error:
            raise BundleBroken(
                f"{self._path}, after line {self.number}: not zstd as it was written ({error})"
            ) from None


def _named(section: Section) -> str:
    return section if section == PIPELINES else f"partition {section}"

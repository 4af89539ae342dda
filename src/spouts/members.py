"""The second spout: the log of members as batches, committed when everything before them is acknowledged."""

from typing import Any

from streamparse import Stream

from oda.core import log
from oda.core.batch import FIELDS
from oda.core.groups import told
from oda.core.kinds import Rejected
from oda.core.log import Meaning, Record
from oda.settings import Settings
from spouts.readings import ReadingsSpout


class MembersSpout(ReadingsSpout):
    """As the spout of readings; what is in that log is no reading, and its clock and rules are in what is told."""

    outputs = [Stream(name="readings", fields=FIELDS)]

    open_rules: Any = staticmethod(lambda *_: _NoRules())

    @staticmethod
    def topic(settings: Settings) -> str:
        """The one that is read."""
        return settings.kafka.members

    def _read(self, records: list[Record]) -> tuple[Meaning, list[Rejected]]:
        return log.NOTHING._replace(told=told.read(records, self.settings.kafka.group)), []

    def _emit_clocks(self) -> None:
        """Nobody asks; but what is only markers of transactions has to be passed, too."""
        for partition, end in list(self.ends.items()):
            position = self.source.position(partition)
            if position >= end:
                del self.ends[partition]
                if position > self.partitions[partition].position:
                    self._emit_new(partition, position, log.NOTHING, [])


class _NoRules:
    """The log of members carries what rules say in itself."""

    def repeat(self, partitions: Any) -> None:
        """There is nothing to be repeated."""

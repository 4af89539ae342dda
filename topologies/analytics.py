"""The graph of ODA, nothing else.

Not named oda.py: streamparse imports a topology by its file name, and `oda` is the package in src.
"""

from streamparse import Grouping, Topology

from bolts.anomalies import AnomalyBolt
from bolts.groups import GroupsBolt
from bolts.sinks import sinks
from bolts.windows import WindowBolt
from oda.storm.build import settings_of_this_build
from spouts.members import MembersSpout
from spouts.readings import ReadingsSpout

par = settings_of_this_build().parallelism
by_partition = Grouping.fields("partition")


class Analytics(Topology):
    """Readings from Kafka, through windows and judgement, to the stores of the catalogue.

    Windows of groups' members go through Kafka, to the groups bolt, and back into the readings.
    """

    readings = ReadingsSpout.spec(par=par.readings)
    windows = WindowBolt.spec(
        par=par.windows, inputs={readings["readings"]: by_partition, readings["clock"]: by_partition}
    )
    anomalies = AnomalyBolt.spec(
        par=par.anomalies,
        inputs={readings["readings"]: by_partition, windows["closings"]: by_partition},
    )
    # A component is what the class has by a name.
    locals().update(
        sinks(
            par,
            {
                "readings": readings,
                "rejected": readings,
                "windows": windows,
                "anomalies": anomalies,
                "incidents": anomalies,
                "bands": anomalies,
                "members": anomalies,
                "quiet": windows,
            },
        )
    )
    if par.groups:
        members = MembersSpout.spec(par=par.groups)
        groups = GroupsBolt.spec(par=par.groups, inputs={members["readings"]: by_partition})

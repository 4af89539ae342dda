"""ODA's topology without its stores: what is compared with engines that have none.

The results go to Kafka, as theirs do. The windows' snapshots stay in Cassandra, since the bolt acknowledges nothing
that is not durable.
"""

from streamparse import Grouping, Topology

from bolts.anomalies import AnomalyBolt
from bolts.groups import GroupsBolt
from bolts.sinks import SINKS
from bolts.windows import WindowBolt
from oda.storm.build import settings_of_this_build
from spouts.members import MembersSpout
from spouts.readings import ReadingsSpout

par = settings_of_this_build().parallelism
by_partition = Grouping.fields("partition")


class Compute(Topology):
    """Readings from Kafka, through windows and judgement, back to Kafka; no clock closes windows."""

    readings = ReadingsSpout.spec(par=par.readings)
    windows = WindowBolt.spec(par=par.windows, inputs={readings["readings"]: by_partition})
    anomalies = AnomalyBolt.spec(
        par=par.anomalies,
        inputs={readings["readings"]: by_partition, windows["closings"]: by_partition},
    )
    kafka = SINKS["kafka"].spec(
        par=par.kafka,
        inputs={
            readings["rejected"]: by_partition,
            windows["windows"]: by_partition,
            anomalies["anomalies"]: by_partition,
            **({anomalies["members"]: by_partition} if par.groups else {}),
        },
    )
    if par.groups:
        members = MembersSpout.spec(par=par.groups)
        groups = GroupsBolt.spec(par=par.groups, inputs={members["readings"]: by_partition})

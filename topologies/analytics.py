"""The graph of ODA, nothing else.

Not named oda.py: streamparse imports a topology by its file name, and `oda` is the package in src.
"""

from streamparse import Grouping, Topology

from bolts.anomalies import AnomalyBolt
from bolts.cassandra import CassandraSink
from bolts.elasticsearch import ElasticsearchSink
from bolts.kafka import KafkaSink
from bolts.windows import WindowBolt
from oda.storm.build import settings_of_this_build
from spouts.readings import ReadingsSpout

par = settings_of_this_build().parallelism
by_partition = Grouping.fields("partition")


class Analytics(Topology):
    """Readings from Kafka, through windows and judgement, to three stores."""

    readings = ReadingsSpout.spec(par=par.readings)
    windows = WindowBolt.spec(
        par=par.windows, inputs={readings["readings"]: by_partition, readings["clock"]: by_partition}
    )
    anomalies = AnomalyBolt.spec(
        par=par.anomalies,
        inputs={readings["readings"]: by_partition, windows["baselines"]: by_partition},
    )
    cassandra = CassandraSink.spec(
        par=par.cassandra,
        inputs={
            readings["readings"]: by_partition,
            windows["windows"]: by_partition,
            anomalies["anomalies"]: by_partition,
        },
    )
    elasticsearch = ElasticsearchSink.spec(
        par=par.elasticsearch,
        inputs={windows["windows"]: by_partition, anomalies["anomalies"]: by_partition},
    )
    kafka = KafkaSink.spec(
        par=par.kafka,
        inputs={
            readings["rejected"]: by_partition,
            windows["windows"]: by_partition,
            anomalies["anomalies"]: by_partition,
        },
    )

import java.time.Duration;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The work with groups: what comes of series, and the mean of each group's windows, by groupBy and a windowed aggregate.
 *
 * A window's mean is told anew with what came since (its default); the last one counts. Stream time is the largest that
 * a partition of the repartition topic has seen, and partitions of the readings are read at paces of their own: so none
 * is dropped as late only if the grace is as long as the topic.
 */
final class Groups {
    private static final Duration GRACE = Duration.ofDays(1);

    static Topology topology(
            StoreBuilder<KeyValueStore<String, SeriesState>> store, long latenessMs, String results, String groups) {
        var strings = Serdes.String();
        var bytes = Serdes.ByteArray();
        var builder = new StreamsBuilder();
        builder.addStateStore(store);
        KStream<String, Row> rows = builder.stream(System.getenv("READINGS"), Consumed.with(strings, bytes))
            .process(() -> new SeriesProcessor(latenessMs), Main.STORE);
        rows.mapValues(Row::json).to(results, Produced.with(strings, bytes));
        rows.filter((series, row) -> row.isWindow())
            .mapValues(Total::of)
            .groupBy((series, window) -> group(series), Grouped.with("members", strings, new Total.Serde()))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMillis(SeriesProcessor.SIZE_MS), GRACE))
            .aggregate(() -> Total.NOTHING, (group, window, total) -> total.plus(window), kept())
            .toStream()
            .map((of, total) -> KeyValue.pair(of.key(), Json.group(of.key(), of.window().start(), total)))
            .to(groups, Produced.with(strings, bytes));
        return builder.build();
    }

    private static Materialized<String, Total, WindowStore<Bytes, byte[]>> kept() {
        return Materialized.<String, Total, WindowStore<Bytes, byte[]>>as("groups")
            .withKeySerde(Serdes.String())
            .withValueSerde(new Total.Serde());
    }

    /** What stands before the slash of a series' name. */
    private static String group(String series) {
        return "group:" + series.substring(0, series.indexOf('/'));
    }

    private Groups() {}
}

import java.util.Properties;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.SaslConfigs;
import org.apache.kafka.common.config.SslConfigs;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.Stores;

/**
 * The work in Kafka Streams, one thread a worker.
 *
 * States are in RocksDB behind a cache, with a changelog topic; at least once. That is its default.
 */
public final class Main {
    static final String STORE = "series";

    private static final long CACHE_BYTES = 64L << 20;

    /** How often a group's window is told anew, at least; as often as ODA makes its states durable. */
    private static final int COMMIT_MS = 2000;

    /** Where the means of groups go; null if there are no groups. */
    private static final String GROUPS = System.getenv("GROUP_RESULTS");

    public static void main(String[] arguments) {
        KafkaStreams streams = new KafkaStreams(topology(), settings());
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static Topology topology() {
        var store = Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(STORE), Serdes.String(), new SeriesState.Serde()).withCachingEnabled();
        long latenessMs = Long.parseLong(System.getenv("LATENESS_MS"));
        String results = System.getenv("RESULTS");
        if (GROUPS != null) {
            return Groups.topology(store, latenessMs, results, GROUPS);
        }
        var strings = Serdes.String();
        Serializer<Row> rows = (topic, row) -> row.json();
        return new Topology()
            .addSource("readings", strings.deserializer(), Serdes.ByteArray().deserializer(), System.getenv("READINGS"))
            .addProcessor("judge", () -> new SeriesProcessor(latenessMs), "readings")
            .addStateStore(store, "judge")
            .addSink("results", results, strings.serializer(), rows, "judge");
    }

    private static Properties settings() {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, System.getenv("GROUP"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("BROKERS"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("STATE"));
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, System.getenv("WORKERS"));
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 50);
        if (GROUPS != null) {
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_MS);
        }
        if (System.getenv("CA") != null) {
            secure(settings);
        }
        return settings;
    }

    /** TLS, and an account where there is one. */
    private static void secure(Properties settings) {
        settings.put(CommonClientConfigs.SECURITY_PROTOCOL_CONFIG, "SSL");
        settings.put(SslConfigs.SSL_TRUSTSTORE_TYPE_CONFIG, "PEM");
        settings.put(SslConfigs.SSL_TRUSTSTORE_LOCATION_CONFIG, System.getenv("CA"));
        String user = System.getenv("ACCOUNT");
        if (user == null) {
            return;
        }
        String mechanism = System.getenv("MECHANISM");
        String module = mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
        settings.put(CommonClientConfigs.SECURITY_PROTOCOL_CONFIG, "SASL_SSL");
        settings.put(SaslConfigs.SASL_MECHANISM, mechanism);
        settings.put(SaslConfigs.SASL_JAAS_CONFIG, "org.apache.kafka.common.security.%s required username=%s password=%s;"
            .formatted(module, quoted(user), quoted(System.getenv("PASSWORD"))));
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    private Main() {}
}
